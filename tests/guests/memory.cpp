// SPDX-License-Identifier: Apache-2.0
// All RAM of the memory map: zero at the start, writable, and each cell its own; accessed and dirty bits are set by the
// walk.
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"

namespace {
constexpr u64 k_salt = 0x9E3779B97F4A7C15;

void map_all() {
  const bool gigabytes = x86::cpuid(0x80000001).edx >> 26 & 1;
  for (u64 address = 4 * k_gib; address < machine::ram_end(); address += k_gib)
    if (gigabytes)
      paging::map(address, address, 3);
    else
      for (u64 a = address; a < address + k_gib; a += 2 * k_mib) paging::map(a, a, 2);
}

/// First cell for which holds(address, value) is false, or 0.
template <typename F>
u64 first_bad(F&& holds) {
  u64 bad = 0;
  machine::each_free_run([&](u64 base, u64 end) {
    for (u64 a = base; a < end && bad == 0; a += 8)
      if (!holds(a, *reinterpret_cast<const u64*>(a))) bad = a;
  });
  return bad;
}
void check_cells(u64 bad, const char* name) {
  tap::check(bad == 0, name);
  if (bad != 0) print("# the cell at ", hex(bad), " holds ", hex(*at<u64>(bad)), "\n");
}

void accessed_and_dirty() {
  constexpr word va = paging::k_window;
  const word root = x86::cr3(), frame = machine::allocate_page();
  paging::map(va, frame, 1);
  volatile u64* const leaf = paging::entry(root, va, 1);
  volatile u64* const above[] = {paging::entry(root, va, 4), paging::entry(root, va, 3), paging::entry(root, va, 2)};
  for (volatile u64* e : above) *e = *e & ~u64{paging::k_accessed};
  x86::flush_tlb();
  (void)*at(va);
  tap::equal(*leaf & (paging::k_accessed | paging::k_dirty), paging::k_accessed, "a read sets A of the leaf, not D");
  bool all = true;
  for (volatile u64* e : above) all = all && (*e & paging::k_accessed) != 0;
  tap::check(all, "and A of all three entries above");
  *at(va) = 1;
  tap::equal(*leaf & (paging::k_accessed | paging::k_dirty), paging::k_accessed | paging::k_dirty,
             "a write sets D too");
  *leaf = frame | paging::k_all;
  x86::invlpg(va);
  *at(va) = 2;
  tap::equal(*leaf & (paging::k_accessed | paging::k_dirty), paging::k_accessed | paging::k_dirty,
             "a write first sets both");
  paging::unmap(va);
}
}  // namespace

void guest_main() {
  tap::check(machine::ram_count() != 0, "there is a multiboot memory map with RAM");
  u64 total = 0, free = 0, previous = 0;
  bool ordered = true;
  for (unsigned i = 0; i < machine::ram_count(); ++i) {
    const Range r = machine::ram(i);
    print("# ram ", hex(r.base), " - ", hex(r.end()), "\n");
    ordered = ordered && r.base >= previous;
    previous = r.end();
    total += r.size;
  }
  tap::check(ordered, "its ranges do not overlap");
  map_all();
  machine::each_free_run([&](u64 base, u64 end) { free += end - base; });
  print("# ", total >> 10, " KiB, tested ", free >> 10, " KiB\n");
  tap::check(free >= total - 2 * k_mib, "all but 2 MiB of it is free for the test");
  if (machine::bare())
    tap::skip("all RAM starts as zero", "firmware leaves things behind");
  else
    check_cells(first_bad([](u64, u64 value) { return value == 0; }), "all RAM starts as zero");
  machine::each_free_run([](u64 base, u64 end) {
    for (u64 a = base; a < end; a += 8) *reinterpret_cast<volatile u64*>(a) = a ^ k_salt;
  });
  check_cells(first_bad([](u64 a, u64 value) { return value == (a ^ k_salt); }), "every cell keeps a word of its own");
  machine::each_free_run([](u64 base, u64 end) {
    for (u64 a = base; a < end; a += 8) *reinterpret_cast<volatile u64*>(a) = ~a;
  });
  check_cells(first_bad([](u64 a, u64 value) { return value == ~a; }), "and the opposite");
  tap::check(*at<u32>(reinterpret_cast<word>(&guest_main)) != 0, "the image was not overwritten");
  accessed_and_dirty();
}
