// SPDX-License-Identifier: Apache-2.0
// ELF executables for x86, 32-bit and 64-bit, as kernels are: what their program headers load, and the PVH entry note. Every
// number of the file is checked before it is used. (ELF specification, chapters 4 and 5.)
#pragma once
#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::build {

struct ElfLoad {
  u64 virtual_address = 0;
  u64 physical_address = 0;
  u64 memory_size = 0;  ///< bytes, >= data.size()
  ByteView data;
};

struct ElfFile {
  u64 entry = 0;               ///< as the file has it; often a virtual address
  std::vector<ElfLoad> loads;  ///< not empty; ascending and disjoint in physical addresses, all below 4 GiB
  std::optional<u64> pvh_entry;  ///< physical, from the note XEN_ELFNOTE_PHYS32_ENTRY
};

[[nodiscard]] bool is_elf(ByteView bytes);

[[nodiscard]] Outcome<ElfFile> read_elf(ByteView bytes);

/// Does a load cover this physical address?
[[nodiscard]] bool is_loaded(const ElfFile& elf, u64 address);

/// Places the loads: one segment for those that share pages, called "kernel".
[[nodiscard]] Outcome<> place_elf(GuestMemory& memory, const ElfFile& elf);
}  // namespace octavo::build
