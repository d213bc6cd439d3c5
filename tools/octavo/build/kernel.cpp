// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/kernel.hpp"

#include "tools/octavo/build/elf.hpp"

namespace octavo::build {

Outcome<domain::KernelKind> detect_kernel(ByteView kernel) {
  if (detail::is_linux(kernel)) return domain::KernelKind::linux_bzimage;
  if (!is_elf(kernel)) return failure_at("kernel", "is no kernel: neither a Linux bzImage nor an ELF file");
  const ElfFile elf = OCTAVO_TRY(at("kernel", read_elf(kernel)));
  if (elf.pvh_entry) return domain::KernelKind::pvh;
  if (detail::has_multiboot_header(kernel)) return domain::KernelKind::multiboot;
  return failure_at("kernel", "is an ELF file without a PVH entry note and without a multiboot-1 header");
}
}  // namespace octavo::build
