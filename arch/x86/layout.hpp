// SPDX-License-Identifier: Apache-2.0
// The hypervisor's own linear address space, and the symbols with which octavo.lds delimits the image.
//
//   ffff8000_00000000  direct map: all RAM, one to one            RW   (64 TiB)
//   ffffc000_00000000  MMIO: registers and the framebuffer        RW   uncached or write-combining
//   ffffe000_00000000  stacks, each above an unmapped guard page  RW
//   ffffffff_80000000  the image, at this plus its load address   RX, R, RW
#pragma once
#include "lib/address.hpp"

namespace octavo::arch {
inline constexpr u64 k_direct_map_base = 0xffff'8000'0000'0000;
inline constexpr u64 k_direct_map_size = u64{64} << 40;
inline constexpr u64 k_mmio_base = 0xffff'c000'0000'0000;
inline constexpr u64 k_stacks_base = 0xffff'e000'0000'0000;
inline constexpr u64 k_image_offset = 0xffff'ffff'8000'0000;
/// What the boot page tables map of the direct map.
inline constexpr u64 k_boot_mapped = u64{4} << 30;

extern "C" {
extern const char octavo_image_physical[], octavo_text_begin[], octavo_text_end[], octavo_rodata_begin[], octavo_rodata_end[],
    octavo_data_begin[], octavo_data_end[];
}

/// Where machine address `hpa` is in the direct map. For page tables, ACPI tables and what the boot loader left; guest
/// memory is reached through mm::Mapping.
[[nodiscard]] inline void* direct_map(Hpa hpa) { return reinterpret_cast<void*>(k_direct_map_base + hpa.value()); }
}  // namespace octavo::arch
