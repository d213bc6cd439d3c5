// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/clock.hpp"

#include <algorithm>

#include "arch/x86/acpi.hpp"
#include "arch/x86/cpu_features.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/registers.hpp"

namespace octavo::arch {
namespace clock {
namespace {
constexpr u64 k_billion = 1'000'000'000;
constexpr unsigned k_to_ns_shift = 32, k_from_ns_shift = 30;

constinit u64 start_tsc = 0, tsc_rate = 0, apic_rate = 0;
constinit u64 tsc_to_ns = 0;    ///< ns per tick << 32
constinit u64 ns_to_tsc = 0;    ///< ticks per ns << 30
constinit u64 ns_to_apic = 0;
constinit std::string_view measured_against = "nothing";

constexpr u64 scale(u64 value, u64 factor, unsigned shift) {
  return static_cast<u64>(static_cast<unsigned __int128>(value) * factor >> shift);
}

/// A clock of known rate that counts up, modulo mask + 1.
struct Reference {
  std::string_view name;
  u64 hz;
  u32 mask;
  u32 (*read)();
};

u32 read_pm_timer() { return in32(acpi::machine().fadt->pm_timer); }

constexpr u16 k_pit_channel_2 = 0x42, k_pit_command = 0x43, k_speaker_port = 0x61;
void start_pit() {
  constexpr u8 gate = 1, speaker = 2, channel_2_mode_0 = 0xb0;
  out8(k_speaker_port, static_cast<u8>((in8(k_speaker_port) & ~speaker) | gate));
  out8(k_pit_command, channel_2_mode_0);
  out8(k_pit_channel_2, 0xff);
  out8(k_pit_channel_2, 0xff);
}
u32 read_pit() {
  constexpr u8 latch_channel_2 = 0x80;
  out8(k_pit_command, latch_channel_2);
  const u32 low = in8(k_pit_channel_2), high = in8(k_pit_channel_2);
  return 0xffff - (high << 8 | low);  // it counts down
}

struct Sample {
  u64 tsc;
  u32 reference, apic;
};
/// All three at one moment: of several tries the one that was disturbed least (SMIs, a busy host under an emulator).
Sample take_sample(const Reference& reference) {
  Sample best{};
  u64 best_time = ~u64{0};
  for (int attempt = 0; attempt < 8; ++attempt) {
    const u64 before = read_tsc();
    const u32 value = reference.read();
    const u64 after = read_tsc();
    if (after - before >= best_time) continue;
    best_time = after - before;
    best = {before + best_time / 2, value & reference.mask, local_apic::timer_count()};
  }
  return best;
}

bool measure(const Reference& reference) {
  const u64 wanted_ticks = reference.hz / 100;
  local_apic::start_timer(~u32{0});
  const Sample first = take_sample(reference);
  // A port read takes 0.1 us at the very least, so 10 ms are over long before the bound unless the clock stands still.
  for (int i = 0; ((reference.read() - first.reference) & reference.mask) < wanted_ticks; ++i) {
    if (i == 4'000'000) return false;
  }
  const Sample last = take_sample(reference);
  const u64 ticks = (last.reference - first.reference) & reference.mask;
  tsc_rate = (last.tsc - first.tsc) * reference.hz / ticks;
  apic_rate = u64{first.apic - last.apic} * reference.hz / ticks;
  measured_against = reference.name;
  return tsc_rate != 0;
}
}  // namespace

void start(u64 tsc) { start_tsc = tsc; }

Result<> calibrate() {
  const auto& fadt = acpi::machine().fadt;
  bool done = false;
  if (fadt && fadt->pm_timer != 0) {
    done = measure({"the ACPI timer", 3'579'545, fadt->pm_timer_32_bits ? ~u32{0} : 0xff'ffff, read_pm_timer});
  }
  if (!done) {
    start_pit();
    done = measure({"the PIT", 1'193'182, 0xffff, read_pit});
  }
  if (!done) return fail(Error::unsupported);
  if (const u64 said = features().tsc_hz; said != 0) {
    tsc_rate = said;
    measured_against = "CPUID";
  }
  tsc_to_ns = (k_billion << k_to_ns_shift) / tsc_rate;
  ns_to_tsc = (tsc_rate << k_from_ns_shift) / k_billion;
  if (features().tsc_deadline) apic_rate = 0;
  else if (apic_rate == 0) return fail(Error::unsupported);
  ns_to_apic = (apic_rate << k_from_ns_shift) / k_billion;
  return {};
}

void enable_timer() {
  local_apic::start_timer(0);
  if (features().tsc_deadline) local_apic::use_deadline_timer();
}

u64 tsc_hz() { return tsc_rate; }
u64 apic_timer_hz() { return apic_rate; }
std::string_view source() { return measured_against; }
u64 tsc_at(u64 ns) { return start_tsc + scale(ns, ns_to_tsc, k_from_ns_shift); }
u64 uptime_at(u64 tsc) { return scale(tsc - start_tsc, tsc_to_ns, k_to_ns_shift); }

void busy_wait_ns(u64 ns) {
  for (const u64 end = uptime_ns() + ns; uptime_ns() < end;) relax();
}

namespace {
void arm(u64 deadline_ns) {
  if (apic_rate == 0) return local_apic::set_deadline(tsc_at(deadline_ns) + 1);
  const u64 now = uptime_ns();
  constexpr u64 longest_ns = k_billion;  // fits 32 bits at any bus clock; the handler goes on from there
  const u64 left = deadline_ns > now ? std::min(deadline_ns - now, longest_ns) : 0;
  local_apic::start_timer(static_cast<u32>(scale(left, ns_to_apic, k_from_ns_shift) + 1));
}
}  // namespace

// The deadline may be further than the hardware can count, or a tick away by rounding.
void on_timer() {
  u64& deadline = this_cpu().timer_deadline_ns;
  if (deadline != 0 && uptime_ns() < deadline) return arm(deadline);
  deadline = 0;
}
}  // namespace clock

u64 uptime_ns() { return clock::uptime_at(read_tsc()); }

void set_timer(u64 deadline_ns) {
  this_cpu().timer_deadline_ns = std::max<u64>(deadline_ns, 1);
  clock::arm(deadline_ns);
}

void cancel_timer() {
  this_cpu().timer_deadline_ns = 0;
  if (clock::apic_timer_hz() == 0) local_apic::set_deadline(0);
  else local_apic::start_timer(0);
}
}  // namespace octavo::arch
