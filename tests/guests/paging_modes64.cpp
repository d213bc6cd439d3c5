// SPDX-License-Identifier: Apache-2.0
// Long mode with all memory mapped by 4 KiB, then 2 MiB, then 1 GiB pages at another virtual address each: what is
// written through one is read through the next.
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"

namespace {
/// Where the mapping by pages of this level lies: 512 GiB each.
constexpr word window_of(unsigned level) {
  return paging::k_window * level;
}

/// Enough for 4 KiB tables of what is tested; the rest of a big memory is left to the larger pages.
constexpr u64 k_limit_4k = k_gib;

template <typename F>
void each_cell_run(unsigned level, F&& function) {
  machine::each_free_run([&](u64 base, u64 end) { function(base, end, window_of(level)); },
                         level == 1 ? k_limit_4k : ~u64{0});
}

void write(unsigned level, u64 salt) {
  each_cell_run(level, [=](u64 base, u64 end, word window) {
    for (u64 a = base; a < end; a += 8) *reinterpret_cast<volatile u64*>(window + a) = a ^ salt;
  });
}
bool holds(unsigned through, u64 salt, u64 limit) {
  u64 bad = 0, cells = 0;
  each_cell_run(through, [&](u64 base, u64 end, word window) {
    for (u64 a = base; a < end && a < limit && bad == 0; a += 8, ++cells)
      if (*reinterpret_cast<const u64*>(window + a) != (a ^ salt)) bad = a;
  });
  if (bad != 0) print("# bad at ", hex(bad), "\n");
  return bad == 0 && cells != 0;
}

void map_all(unsigned level) {
  const u64 size = bit(12 + 9 * (level - 1)),
            end = level == 1 && machine::ram_end() > k_limit_4k ? k_limit_4k : machine::ram_end();
  for (u64 a = 0; a < end; a += size)
    *paging::entry(reinterpret_cast<word>(guest_pml4), window_of(level) + a, level) =
        a | paging::k_all | (level > 1 ? u64{paging::k_large} : 0);
  x86::flush_tlb();
}
}  // namespace

void guest_main() {
  const struct {
    unsigned level;
    const char* name;
  } sizes[] = {{1, "4 KiB"}, {2, "2 MiB"}, {3, "1 GiB"}};
  const bool gigabytes = x86::cpuid(0x80000001).edx >> 26 & 1;
  unsigned last_level = 0;
  tap::check(machine::ram_count() != 0, "there is a multiboot memory map with RAM");
  for (const auto& s : sizes)
    if (s.level < 3 || gigabytes) map_all(s.level);
  for (const auto& s : sizes) {
    if (s.level == 3 && !gigabytes) {
      tap::skip("1 GiB pages", "not offered");
      continue;
    }
    const u64 salt = 0x1111111111111111 * s.level;
    write(s.level, salt);
    tap::check(holds(s.level, salt, ~u64{0}), Text(s.name, " pages: all RAM keeps its pattern").c_str());
    if (last_level != 0)
      tap::check(holds(last_level, salt, k_limit_4k),
                 Text(s.name, " pages and the size before show the same memory").c_str());
    const volatile u64* leaf = paging::entry(reinterpret_cast<word>(guest_pml4),
                                             window_of(s.level) + machine::ram(machine::ram_count() - 1).base, s.level);
    if (s.level > 1) tap::check((*leaf & 0x60) == 0x60, Text(s.name, " pages: A and D are set").c_str());
    last_level = s.level;
  }
}
