// SPDX-License-Identifier: Apache-2.0
// The hypervisor's own page tables (AMD APM vol. 2, 5.3): the map of layout.hpp with nothing writable and executable. Made once
// by the boot CPU, shared by all; nothing is mapped after boot has closed early memory.
#pragma once
#include <span>

#include "arch/x86/boot_info.hpp"

namespace octavo::arch {

enum class Access : u8 { read_only, read_write, read_execute };
enum class Caching : u8 { write_back, uncached, write_combining };

/// Builds the tables: the image by its segments, and the direct map of `ram`. Not in use before use_page_tables().
void build_page_tables(std::span<const MemoryRange> ram);
/// Loads them, with the PAT, NX and CR4 bits that they count on. Each CPU does.
void use_page_tables();
/// CR3 of the hypervisor.
[[nodiscard]] Hpa page_table_root();

/// Device memory for good; any alignment, size > 0. Boot only.
[[nodiscard]] volatile void* map_mmio(Hpa hpa, u64 size, Caching caching);

struct CpuStacks {
  u64 ordinary, double_fault, nmi, machine_check;  ///< the address just above each
};
/// Stacks for CPU `index`, an unmapped page under each. Boot only.
[[nodiscard]] CpuStacks map_stacks(unsigned index);
struct PerCpu;
/// Tells the TSS of that CPU about the stacks for interrupts.
void set_interrupt_stacks(PerCpu& cpu, const CpuStacks& stacks);

/// Is there a translation for this linear address? Walks the tables in use, so it never faults.
[[nodiscard]] bool is_mapped(u64 linear);
[[nodiscard]] bool is_guard_page(u64 linear);
}  // namespace octavo::arch
