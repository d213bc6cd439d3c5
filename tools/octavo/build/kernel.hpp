// SPDX-License-Identifier: Apache-2.0
// The kernels that a domain can boot. Each loader takes untrusted bytes, places segments in the guest's memory and says with
// which registers the first vCPU begins. Failures carry the key of the TOML file that they belong to.
#pragma once
#include "domain/image.hpp"
#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::build {

struct BootModule {
  Bytes data;
  std::string command_line;
};

/// What is to be booted. The ACPI tables are placed already.
struct BootInput {
  Bytes kernel;
  std::optional<Bytes> initrd;
  std::vector<BootModule> modules;
  std::string command_line;
  u64 rsdp = 0;  ///< guest-physical
};

/// By its content; a PVH note comes before a multiboot header.
[[nodiscard]] Outcome<domain::KernelKind> detect_kernel(ByteView kernel);

/// bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst): version 2.12 and later.
[[nodiscard]] Outcome<domain::BootRegisters> load_linux(GuestMemory& memory, const BootInput& input);

/// ELF with the note XEN_ELFNOTE_PHYS32_ENTRY; the initrd is the first module.
[[nodiscard]] Outcome<domain::BootRegisters> load_pvh(GuestMemory& memory, const BootInput& input);

/// ELF with a multiboot-1 header.
[[nodiscard]] Outcome<domain::BootRegisters> load_multiboot(GuestMemory& memory, const BootInput& input);

namespace detail {
[[nodiscard]] bool is_linux(ByteView kernel);
[[nodiscard]] bool has_multiboot_header(ByteView kernel);
}  // namespace detail
}  // namespace octavo::build
