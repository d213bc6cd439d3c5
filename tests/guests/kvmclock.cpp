// SPDX-License-Identifier: Apache-2.0
// KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst): the page is valid, and its time runs as the 8254
// does.
#include "machine.hpp"
#include "octavo/hypercall.h"
#include "tap.hpp"
#include "timer.hpp"

namespace {
struct SystemTime {
  u32 version, pad;
  u64 tsc_timestamp, system_time;
  u32 tsc_to_system_mul;
  signed char tsc_shift;
  u8 flags, pad2[2];
};
static_assert(sizeof(SystemTime) == 32);
struct WallClock {
  u32 version, sec, nsec;
};
alignas(64) volatile SystemTime page;
alignas(64) volatile WallClock wall;

u64 now_ns() {
  for (;;) {
    const u32 version = page.version;
    const u64 delta = x86::rdtsc() - page.tsc_timestamp;
    const u64 shifted = page.tsc_shift >= 0 ? delta << page.tsc_shift : delta >> -page.tsc_shift;
    const u64 time =
        page.system_time + static_cast<u64>(static_cast<unsigned __int128>(shifted) * page.tsc_to_system_mul >> 32);
    if (version == page.version && !(version & 1)) return time;
  }
}

struct Measure {
  u64 ticks_low, ticks_high, ns;  ///< the 8254's ticks were between the two
  bool usable;
};

/// Counts 8254 ticks by reading the counter, with kvmclock read in between. A gap of more than a third of the counter's
/// period (by the clock under test) might hide a wrap: then the run is not usable. A clock that is too fast makes all
/// runs unusable, and fails.
Measure measure(u64 wraps) {
  constexpr u64 k_gap_ns = 65536 * u64{1'000'000'000} / pit::k_hz / 3;
  pit::periodic(65536);
  while (pit::read() < 0x8000) {
  }
  u16 last = pit::read();
  const u64 start = now_ns();
  const u16 after = pit::read();
  const u64 to_start = static_cast<u16>(last - after);
  u64 ticks = to_start, seen = start, end = start;
  last = after;
  bool usable = true;
  while (ticks < wraps * 65536) {
    const u16 counter = pit::read();
    end = now_ns();
    ticks += static_cast<u16>(last - counter);
    last = counter;
    usable = usable && end - seen < k_gap_ns;
    seen = end;
  }
  const u64 low = ticks - to_start;
  const u64 high = ticks + static_cast<u16>(last - pit::read());
  return {low, high, end - start, usable};
}
}  // namespace

void guest_main() {
  if (machine::bare()) return tap::skip("kvmclock", "not on Octavo");
  if (!(x86::cpuid(OCTAVO_CPUID_KVM_FEATURES).eax & bit(3))) {
    tap::check(false, "CPUID offers the clock");
    return;
  }
  const u64 where = address_of(page);
  expect_no_fault("the system time page can be registered", [=] { x86::wrmsr(x86::k_msr_kvm_system_time, where | 1); });
  tap::equal(x86::rdmsr(x86::k_msr_kvm_system_time), where | 1, "the MSR reads what was written");
  print("# version ", page.version, " mul ", page.tsc_to_system_mul, " shift ", int{page.tsc_shift}, " flags ",
        u32{page.flags}, "\n");
  tap::check(page.version != 0 && !(page.version & 1), "its version is even and not zero");
  tap::check(page.tsc_to_system_mul != 0 && page.tsc_shift > -32 && page.tsc_shift < 32, "it has a scale");
  tap::check(page.tsc_timestamp <= x86::rdtsc(), "its time stamp is not in the future");

  u64 last = now_ns();
  bool monotonic = true;
  for (unsigned i = 0; i < 20000; ++i) {
    if (i % 16 == 0) x86::cpuid(0);
    const u64 now = now_ns();
    monotonic = monotonic && now >= last;
    last = now;
  }
  tap::check(monotonic, "time never goes back (20000 readings)");

  // The guest may set its TSC, back and forth; the time does not notice.
  const u64 tsc = x86::rdmsr(x86::k_msr_tsc);
  bool steady = true;
  const u64 values[] = {0, tsc + 1'000'000'000'000, bit(62), tsc};
  for (const u64 value : values) {
    const u64 before = now_ns();
    x86::wrmsr(x86::k_msr_tsc, value);
    const u64 after = now_ns();
    steady = steady && after >= before && after - before < 1'000'000'000;
  }
  tap::check(steady, "time goes on when the TSC is set to 0, far ahead, and back");

  constexpr unsigned k_attempts = 8;
  Measure m{};
  for (unsigned i = 0; i < k_attempts && !m.usable; ++i) m = measure(12);
  tap::check(m.usable, "12 periods of the 8254 could be followed");
  if (m.usable) {
    const auto to_ns = [](u64 ticks) { return ticks * 1'000'000'000 / pit::k_hz; };
    const u64 tolerance = to_ns(m.ticks_high) / 1000;  // 0.1 %: what Linux' watchdog would call unstable is far above
    const bool right = m.ns + tolerance >= to_ns(m.ticks_low) && m.ns <= to_ns(m.ticks_high) + tolerance;
    tap::check(right, "in 12 periods of the 8254 kvmclock went on as far, within 0.1 %");
    print("# 8254 ", to_ns(m.ticks_low), " to ", to_ns(m.ticks_high), " ns, kvmclock ", m.ns, " ns\n");
  }

  expect_no_fault("the wall clock can be asked for", [] { x86::wrmsr(x86::k_msr_kvm_wall_clock, address_of(wall)); });
  tap::check(wall.version != 0 && !(wall.version & 1), "its version is even and not zero");
  tap::check(wall.sec > 1'577'836'800, "it is after 2020");
  tap::check(wall.nsec < 1'000'000'000, "its nanoseconds are less than a second");
  expect_no_fault("the page can be taken back", [] { x86::wrmsr(x86::k_msr_kvm_system_time, 0); });
  page.version = 0x5A5A5A5B;
  for (unsigned i = 0; i < 100; ++i) x86::cpuid(0);
  tap::equal(page.version, 0x5A5A5A5B, "and is not written after that");

  // Pages that a guest does not have must not be written; #GP or ignored, but the machine goes on.
  const u64 nowhere[] = {(machine::ram_end() + k_gib) | 1, 0x000FFFFFFFFFF000 | 1, 0xFFFFFFFFFFFFFFFF,
                         (address_of(page) + 2) | 1};
  for (const u64 value : nowhere) {
    const Fault f = attempt([=] { x86::wrmsr(x86::k_msr_kvm_system_time, value); });
    tap::check(!f || (f.vector == x86::k_gp && f.error == 0),
               Text("the page ", hex(value), " is refused with #GP or ignored").c_str());
    x86::cpuid(0);
  }
  x86::wrmsr(x86::k_msr_kvm_system_time, 0);
}
