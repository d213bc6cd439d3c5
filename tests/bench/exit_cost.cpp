// SPDX-License-Identifier: Apache-2.0
// What each kind of exit costs, seen from inside by the TSC: the median of many, less an empty measurement. Under
// `-icount shift=0,sleep=off` one TSC tick is one instruction, and the figures repeat. They are figures, not a test:
// nothing fails.
#include "machine.hpp"
#include "octavo/hypercall.h"
#include "tap.hpp"
#include "timer.hpp"
#include "uart.hpp"

namespace {
constexpr unsigned k_samples = 1001;
u64 samples[k_samples];
u64 empty_cost = 0;

struct Row {
  const char* name;
  u64 median;
  bool measured;
};
Row rows[32];
unsigned row_count = 0;

template <typename F>
u64 median_of(F&& operation) {
  for (u64& sample : samples) {
    const u64 start = x86::rdtsc();
    operation();
    sample = x86::rdtsc() - start;
  }
  return median(samples, k_samples);
}

void add(const char* name, u64 median, bool measured = true) {
  rows[row_count++] = {name, median, measured};
}

/// Measures unless one try faults (an MSR that is not there).
template <typename F>
void measure(const char* name, F&& operation) {
  if (attempt(operation)) return add(name, 0, false);
  const u64 cost = median_of(operation);
  add(name, cost > empty_cost ? cost - empty_cost : 0);
}

/// HLT until a one-shot of n counts: the fixed part of a + b n from two lengths, so that no clock need be calibrated.
u64 halt(u32 counts) {
  return median_of([=] {
    pit::one_shot(counts);
    x86::sti_hlt_cli();
  });
}

void first_touch() {
  // One page of every 2 MiB that nobody touched (cheap or not: that is the question), then the pages next to it.
  static u64 first[512], neighbour[512];
  unsigned n = 0;
  machine::each_free_run(
      [&](u64 base, u64 end) {
        u64 a = (base + 2 * k_mib - 1) & ~(2 * k_mib - 1);
        for (a = a < 4 * k_mib ? 4 * k_mib : a; a + 2 * k_mib <= end && n < 512; a += 2 * k_mib, ++n) {
          u64 start = x86::rdtsc();
          *at<u64>(a) = 1;
          first[n] = x86::rdtsc() - start;
          start = x86::rdtsc();
          *at<u64>(a + 64 * k_page) = 1;
          neighbour[n] = x86::rdtsc() - start;
        }
      },
      4 * k_gib);
  if (n == 0) return add("first_touch_2m", 0, false);
  add("first_touch_2m", median(first, n));
  add("first_touch_2m_max", first[n - 1]);
  add("first_touch_neighbour_4k", median(neighbour, n));
}
}  // namespace

void guest_main() {
  first_touch();  // before anything else touches memory
  pic::initialize();
  set_handler(pic::k_base, [](Frame&) { pic::end_of_interrupt(0); });
  empty_cost = median_of([] { asm volatile("" ::: "memory"); });
  add("empty", empty_cost);
  measure("cpuid_0", [] { x86::cpuid(0); });
  measure("vmmcall_version", [] {
    u64 rax = OCTAVO_HYPERCALL(OCTAVO_HC_VERSION), rdi = 0;
    asm volatile("vmmcall" : "+a"(rax), "+D"(rdi)::"memory");
  });
  measure("out_80", [] { x86::outb(0x80, 0); });
  measure("in_uart_lsr", [] { x86::inb(uart::k_lsr); });
  measure("in_unclaimed", [] { x86::inb(0xE0); });
  measure("rdmsr_apic_base", [] { x86::rdmsr(x86::k_msr_apic_base); });
  measure("rdmsr_pat", [] { x86::rdmsr(x86::k_msr_pat); });
  measure("rdmsr_efer", [] { x86::rdmsr(x86::k_msr_efer); });
  const u64 efer = x86::rdmsr(x86::k_msr_efer), pat = x86::rdmsr(x86::k_msr_pat);
  measure("wrmsr_efer", [=] { x86::wrmsr(x86::k_msr_efer, efer); });
  measure("wrmsr_pat", [=] { x86::wrmsr(x86::k_msr_pat, pat); });
  measure("wrmsr_fs_base", [] { x86::wrmsr(x86::k_msr_fs_base, 0); });
  const word cr0 = x86::cr0(), cr3 = x86::cr3(), cr4 = x86::cr4();
  measure("mov_cr0", [=] { x86::cr0(cr0); });
  measure("mov_cr3", [=] { x86::cr3(cr3); });
  measure("mov_cr4", [=] { x86::cr4(cr4); });
  measure("mov_cr8", [] { x86::cr8(0); });
  measure("wbinvd", [] { asm volatile("wbinvd" ::: "memory"); });
  measure("rdtsc", [] { x86::rdtsc(); });
  pic::enable_only(1);
  const u64 a = halt(100), b = halt(200);
  pic::enable_only(0);
  const u64 halted = 2 * a > b ? 2 * a - b : 0;
  add("hlt_to_timer", halted > empty_cost ? halted - empty_cost : 0);

  print("# median of ", k_samples, ", in TSC ticks, the empty measurement taken off\n");
  for (unsigned i = 0; i < row_count; ++i) {
    if (rows[i].measured)
      print("# ", rows[i].name, " ", rows[i].median, "\n");
    else
      print("# ", rows[i].name, " -\n");
  }
  print("{\"bench\": \"exit_cost\", \"host\": \"", machine::bare() ? "bare" : "octavo", "\", \"samples\": ", k_samples);
  for (unsigned i = 0; i < row_count; ++i) {
    print(", \"", rows[i].name, "\": ");
    if (rows[i].measured)
      print(rows[i].median);
    else
      print("null");
  }
  print("}\n");
  tap::check(row_count != 0, "measured");
}
