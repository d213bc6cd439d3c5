// SPDX-License-Identifier: Apache-2.0
// What a boot protocol wants to find besides the kernel: a flat GDT and, for long mode, page tables that map the first 4 GiB
// one to one (in 2 MiB pages, so that a virtual CPU without 1 GiB pages can walk them).
#pragma once
#include "domain/image.hpp"
#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::build {

inline constexpr u16 k_boot_cs = 0x10;  ///< where the Linux boot protocol wants __BOOT_CS
inline constexpr u16 k_boot_ds = 0x18;  ///< and __BOOT_DS
inline constexpr u64 k_boot_data_begin = 0x1000;  ///< page 0 holds the BIOS data area
inline constexpr u64 k_below_4g = u64{1} << 32;

/// First registers, with a GDT placed in `memory`.
[[nodiscard]] Outcome<domain::BootRegisters> flat_registers(GuestMemory& memory, domain::BootMode mode);

/// Places identity page tables and returns the address of their root.
[[nodiscard]] Outcome<u64> identity_page_tables(GuestMemory& memory);

/// Places `text` with its NUL, low, and returns its address.
[[nodiscard]] Outcome<u64> place_text(GuestMemory& memory, std::string label, std::string_view text);
}  // namespace octavo::build
