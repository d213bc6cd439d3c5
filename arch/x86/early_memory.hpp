// SPDX-License-Identifier: Apache-2.0
// Frames for what boot keeps for ever (page tables, stacks), cut off the end of one run of free RAM. Boot only, one CPU,
// until close(); what has been taken never appears in BootInfo::free_ram.
#pragma once
#include "arch/x86/boot_info.hpp"

namespace octavo::arch::early_memory {

/// Takes from `range`, which is below k_boot_mapped as long as the boot page tables are in use.
void open(MemoryRange range);
/// A run of frames, zeroed. Panics when the range is used up: boot cannot go on.
[[nodiscard]] Hpa allocate(u64 frames);
/// What has been taken; after this allocate() panics.
[[nodiscard]] MemoryRange close();
}  // namespace octavo::arch::early_memory
