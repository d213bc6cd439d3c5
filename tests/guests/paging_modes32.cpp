// SPDX-License-Identifier: Apache-2.0
// The 32-bit modes one after the other: no paging, two levels with 4 MiB and 4 KiB pages, PAE with 2 MiB and 4 KiB
// pages, no paging again. In each, all RAM below 4 GiB takes a pattern of that mode and gives it back, and a window
// shows that the tables are really used.
#include "machine.hpp"
#include "tap.hpp"

namespace {
constexpr word k_window = 0xF0000000;
constexpr u32 k_present = 1, k_write = 2, k_user = 4, k_accessed = 1 << 5, k_dirty = 1 << 6, k_large = 1 << 7,
              k_all = 7;

void pattern_through_memory(u32 salt, const char* mode) {
  machine::each_free_run(
      [=](u64 base, u64 end) {
        for (u64 a = base; a < end; a += 4)
          *reinterpret_cast<volatile u32*>(static_cast<word>(a)) = static_cast<u32>(a) ^ salt;
      },
      4 * k_gib);
  u64 bad = 0, cells = 0;
  machine::each_free_run(
      [&](u64 base, u64 end) {
        cells += (end - base) / 4;
        for (u64 a = base; a < end && bad == 0; a += 4)
          if (*reinterpret_cast<const u32*>(static_cast<word>(a)) != (static_cast<u32>(a) ^ salt)) bad = a;
      },
      4 * k_gib);
  tap::check(bad == 0 && cells != 0, Text(mode, ": all RAM below 4 GiB keeps its pattern").c_str());
  if (bad != 0) print("# bad at ", hex(bad), "\n");
}

/// The window's first two pages are mapped to frames b and a, in this order; entry(i) is the leaf of page i.
template <typename Entry, typename F>
void window(const char* mode, word a, word b, F&& entry) {
  const auto title = [&](const char* what) { return Text(mode, ": ", what); };
  *at<u32>(a) = 0xAAAA;
  *at<u32>(b) = 0xBBBB;
  volatile Entry *first = entry(0u), *second = entry(1u);
  *first = b | k_all;
  *second = a | k_all;
  x86::flush_tlb();
  tap::check(*at<u32>(k_window) == 0xBBBB && *at<u32>(k_window + k_page) == 0xAAAA,
             title("two 4 KiB pages show their frames").c_str());
  tap::check((*first & (k_accessed | k_dirty)) == k_accessed, title("a read sets A").c_str());
  *at<u32>(k_window + k_page - 2) = 0x11112222;  // over the boundary of two frames that are not adjacent in this order
  tap::check(*at<u16>(b + k_page - 2) == 0x2222 && *at<u16>(a) == 0x1111,
             title("a write over the boundary reaches both frames").c_str());
  tap::check((*first & k_dirty) && (*second & k_dirty), title("and sets D of both").c_str());
  *first = b | k_present | k_user;
  x86::invlpg(k_window);
  expect_fault(x86::k_pf, 3, title("a read-only page faults with WP").c_str(), [] { *at(k_window) = 1; });
  *first = b | k_present | k_write;
  x86::invlpg(k_window);
  expect_user_fault(x86::k_pf, 5, title("a supervisor page faults at CPL 3").c_str(), [] { (void)*at(k_window); });
  *first = 0;
  x86::invlpg(k_window);
  const Fault f = expect_fault(x86::k_pf, 2, title("an absent page faults").c_str(), [] { *at(k_window + 12) = 1; });
  tap::equal(f.address, k_window + 12, title("with CR2").c_str());
}

void paging_on(word root, word cr4) {
  x86::cr4(cr4);
  x86::cr3(root);
  x86::cr0(x86::cr0() | x86::k_cr0_pg | x86::k_cr0_wp);
  x86::cpuid(0);
}
void paging_off() {
  x86::cr0(x86::cr0() & ~x86::k_cr0_pg);
  x86::cr3(0);
  x86::cpuid(0);
}

void two_levels(word a, word b) {
  const word directory = machine::allocate_page(), table = machine::allocate_page();
  for (u32 i = 0; i < 1024; ++i) at<u32>(directory)[i] = i << 22 | k_large | k_all;
  at<u32>(directory)[k_window >> 22] = table | k_all;
  paging_on(directory, x86::k_cr4_pse);
  tap::check(x86::cr0() & x86::k_cr0_pg, "two levels: paging is on");
  window<u32>("two levels", a, b, [=](u32 i) { return at<u32>(table) + i; });
  pattern_through_memory(0x22222222, "4 MiB pages");
  const u32 entry =
      at<u32>(directory)[machine::bare() ? k_mib * 4 >> 22 : 0];  // bare, the first megabyte is not written
  tap::check((entry & (k_accessed | k_dirty)) == (k_accessed | k_dirty), "4 MiB pages: A and D are set");
  paging_off();
}

void pae(word a, word b) {
  const word pointers = machine::allocate_page(), table = machine::allocate_page();
  for (u32 i = 0; i < 4; ++i) {
    const word directory = machine::allocate_page();
    at<u64>(pointers)[i] = directory | k_present;
    for (u32 j = 0; j < 512; ++j) at<u64>(directory)[j] = (i << 30 | j << 21) | k_large | k_all;
  }
  const word last = static_cast<word>(at<u64>(pointers)[k_window >> 30]) & ~(k_page - 1);
  at<u64>(last)[k_window >> 21 & 511] = table | k_all;
  paging_on(pointers, x86::k_cr4_pae);
  tap::check(x86::cr4() & x86::k_cr4_pae, "PAE: paging is on");
  window<u64>("PAE", a, b, [=](u32 i) { return at<u64>(table) + i; });
  if (x86::cpuid(0x80000001).edx & bit(20)) {
    x86::wrmsr(x86::k_msr_efer, x86::rdmsr(x86::k_msr_efer) | x86::k_efer_nxe);
    *at<u8>(a) = 0xC3;
    at<u64>(table)[0] = a | k_all | bit(63);
    x86::invlpg(k_window);
    expect_fault(x86::k_pf, 0x11, "PAE: a no-execute page faults when executed",
                 [] { reinterpret_cast<void (*)()>(k_window)(); });
    at<u64>(table)[0] = a | k_all;
    x86::invlpg(k_window);
    expect_no_fault("PAE: without NX it runs", [] { reinterpret_cast<void (*)()>(k_window)(); });
  } else {
    tap::skip("PAE: no-execute", "not offered");
  }
  pattern_through_memory(0x33333333, "2 MiB pages");
  paging_off();
}
}  // namespace

void guest_main() {
  const word b = machine::allocate_page(), a = machine::allocate_page();
  tap::check(machine::ram_count() != 0, "there is a multiboot memory map with RAM");
  pattern_through_memory(0x11111111, "no paging");
  two_levels(a, b);
  pattern_through_memory(0x44444444, "no paging again");
  pae(a, b);
  pattern_through_memory(0x55555555, "no paging at the end");
}
