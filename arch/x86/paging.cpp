// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/paging.hpp"

#include "arch/x86/cpu_features.hpp"
#include "arch/x86/early_memory.hpp"
#include "arch/x86/layout.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"

namespace octavo::arch {
namespace {
namespace entry {
constexpr u64 present = 1, writable = 1 << 1, write_through = 1 << 3, cache_disable = 1 << 4, accessed = 1 << 5, dirty = 1 << 6,
              large = 1 << 7, pat_4k = 1 << 7, pat_large = 1 << 12, no_execute = u64{1} << 63, address = 0x000f'ffff'ffff'f000;
}

// PAT entry 4 is write-combining, the others stay as after reset: 0 WB, 1 WT, 2 UC-, 3 UC, 5 WT, 6 UC-, 7 UC.
constexpr u64 k_pat = 0x0007'0401'0007'0406;

constexpr unsigned k_levels = 4;
constexpr u64 k_stack_area = 128 * 1024;    ///< linear space per CPU
constexpr u64 k_ordinary_stack = 32 * 1024;
constexpr u64 k_interrupt_stack = 8 * 1024;

constinit Hpa root;
constinit u64 next_mmio = k_mmio_base;
constinit bool in_use = false;

u64* table_at(u64 table_entry) { return static_cast<u64*>(direct_map(Hpa{table_entry & entry::address})); }

/// Index into the table of `level` (4 = top, 1 = leaves of 4 KiB).
constexpr usize index_at(u64 linear, unsigned level) { return linear >> (k_page_shift + 9 * (level - 1)) & 0x1ff; }

constexpr u64 leaf_bits(Access access, Caching caching, bool is_large) {
  u64 bits = entry::present | entry::accessed | (is_large ? entry::large : 0);
  if (access == Access::read_write) bits |= entry::writable | entry::dirty;
  if (caching == Caching::uncached) bits |= entry::write_through | entry::cache_disable;
  if (caching == Caching::write_combining) bits |= is_large ? entry::pat_large : entry::pat_4k;
  return bits;
}

u64& leaf_entry(u64 linear, unsigned leaf_level) {
  u64* table = table_at(root.value());
  for (unsigned level = k_levels; level > leaf_level; --level) {
    u64& slot = table[index_at(linear, level)];
    if ((slot & entry::present) == 0) slot = early_memory::allocate(1).value() | entry::present | entry::writable | entry::accessed;
    if ((slot & entry::large) != 0) panic("the hypervisor's page tables: a mapping inside a larger one");
    table = table_at(slot);
  }
  return table[index_at(linear, leaf_level)];
}

/// All multiples of 4 KiB; uses the largest leaves that alignment and processor allow.
void map(u64 linear, Hpa hpa, u64 size, Access access, Caching caching = Caching::write_back) {
  const Order limit = features().pages_1g ? k_order_1g : k_order_2m;
  // Without NX everything is executable; so are the few processors that have none.
  const u64 no_execute = access != Access::read_execute && features().no_execute ? entry::no_execute : 0;
  u64 frame = to_mfn(hpa).value();
  for (u64 left = size >> k_page_shift; left > 0;) {
    const Order order = largest_leaf_order(linear >> k_page_shift, frame, left, limit);
    u64& slot = leaf_entry(linear, order.value() / 9 + 1);
    if ((slot & entry::present) != 0) panic("the hypervisor's page tables: mapped twice");
    slot = frame << k_page_shift | leaf_bits(access, caching, order != k_order_4k) | no_execute;
    frame += order.frames();
    linear += order.bytes();
    left -= order.frames();
  }
}

void map_segment(const char* begin, const char* end, Access access) {
  const u64 linear = reinterpret_cast<u64>(begin);
  map(linear, Hpa{linear - k_image_offset}, static_cast<u64>(end - begin), access);
}

u64 map_stack(u64& linear, u64 size) {
  linear += k_page_size;  // the guard
  map(linear, early_memory::allocate(size / k_page_size), size, Access::read_write);
  return linear += size;
}
}  // namespace

void build_page_tables(std::span<const MemoryRange> ram) {
  root = early_memory::allocate(1);
  map_segment(octavo_text_begin, octavo_text_end, Access::read_execute);
  map_segment(octavo_rodata_begin, octavo_rodata_end, Access::read_only);
  map_segment(octavo_data_begin, octavo_data_end, Access::read_write);
  for (const MemoryRange& range : ram) map(k_direct_map_base + range.base.value(), range.base, range.size, Access::read_write);
}

void use_page_tables() {
  const Features& f = features();
  if (f.no_execute) write_msr(Msr::efer, read_msr(Msr::efer) | efer::nxe);
  write_msr(Msr::pat, k_pat);
  write_cr3(root.value());
  u64 bits = read_cr4() | cr4::osfxsr | cr4::osxmmexcpt | cr4::mce;
  if (f.smep) bits |= cr4::smep;
  if (f.smap) bits |= cr4::smap;
  if (f.umip) bits |= cr4::umip;
  if (f.fsgsbase) bits |= cr4::fsgsbase;
  if (f.xsave) bits |= cr4::osxsave;
  write_cr4(bits);
  write_cr0(read_cr0() | cr0::wp);
  in_use = true;
}

Hpa page_table_root() { return root; }

volatile void* map_mmio(Hpa hpa, u64 size, Caching caching) {
  const u64 offset = hpa.page_offset();
  const Hpa base{hpa.value() - offset};
  const u64 length = align_up(offset + size, k_page_size);
  // The same offset in 2 MiB on both sides lets a framebuffer have large pages; the page before stays unmapped.
  const u64 mask = k_order_2m.bytes() - 1;
  u64 linear = next_mmio + k_page_size;
  linear = align_up(linear, k_order_2m.bytes()) + (length >= k_order_2m.bytes() ? base.value() & mask : 0);
  map(linear, base, length, Access::read_write, caching);
  next_mmio = linear + length;
  return reinterpret_cast<volatile void*>(linear + offset);
}

CpuStacks map_stacks(unsigned index) {
  u64 linear = k_stacks_base + index * k_stack_area;
  CpuStacks stacks{};
  stacks.double_fault = map_stack(linear, k_interrupt_stack);
  stacks.nmi = map_stack(linear, k_interrupt_stack);
  stacks.machine_check = map_stack(linear, k_interrupt_stack);
  stacks.ordinary = map_stack(linear, k_ordinary_stack);
  return stacks;
}

void set_interrupt_stacks(PerCpu& cpu, const CpuStacks& stacks) {
  set_interrupt_stack(cpu, InterruptStack::double_fault, stacks.double_fault);
  set_interrupt_stack(cpu, InterruptStack::nmi, stacks.nmi);
  set_interrupt_stack(cpu, InterruptStack::machine_check, stacks.machine_check);
}

bool is_mapped(u64 linear) {
  if (static_cast<u64>(static_cast<i64>(linear) << 16 >> 16) != linear) return false;  // not canonical
  u64 slot = read_cr3();
  for (unsigned level = k_levels; level > 0; --level) {
    slot = table_at(slot)[index_at(linear, level)];
    if ((slot & entry::present) == 0) return false;
    if (level < k_levels && (slot & entry::large) != 0) return true;
  }
  return true;
}

bool is_guard_page(u64 linear) {
  return in_use && linear >= k_stacks_base && linear < k_stacks_base + k_max_cpus * k_stack_area && !is_mapped(linear);
}
}  // namespace octavo::arch
