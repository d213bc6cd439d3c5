// SPDX-License-Identifier: Apache-2.0
#include "vcpu/kvm_clock.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

namespace octavo::vcpu {
namespace {
constexpr u64 k_ns_per_second = 1'000'000'000;

/// Rounding down twice loses at most 2 ns against the structure that was published before (its ticks are cut once by
/// the shift and once by the multiplication, in two parts instead of one).
constexpr u64 k_rounding_ns = 2;

Result<> location_valid(u64 address, u64 size) {
  if (address % 4 != 0 || !range_within(address % k_page_size, size, k_page_size)) return fail(Error::out_of_range);
  return {};
}

/// Both structures begin with a 32-bit version.
template <class Structure>
Result<> publish_structure(walk::GuestBytes& memory, Gpa gpa, Structure structure) {
  std::array<u8, 4> version_bytes{};
  OCTAVO_TRY(memory.read(gpa, version_bytes));
  const u32 odd = std::bit_cast<u32>(version_bytes) | 1;
  OCTAVO_TRY(memory.write(gpa, std::bit_cast<std::array<u8, 4>>(odd)));
  structure.version = odd + 1;
  const auto bytes = std::bit_cast<std::array<u8, sizeof(Structure)>>(structure);
  OCTAVO_TRY(memory.write(gpa + 4, std::span(bytes).subspan(4)));
  return memory.write(gpa, std::span(bytes).first(4));
}
}  // namespace

u64 scale_ticks(u64 ticks, u32 mul, i8 shift) {
  if (shift < 0) ticks >>= -shift;
  else ticks <<= shift;
  __extension__ using Wide = unsigned __int128;
  return static_cast<u64>(static_cast<Wide>(ticks) * mul >> 32);
}

u64 clock_time(const PvClock& clock, u64 tsc) {
  return clock.system_time + scale_ticks(tsc - clock.tsc_timestamp, clock.tsc_to_system_mul, clock.tsc_shift);
}

std::optional<TscRate> tsc_rate(u64 tsc_hz) {
  if (tsc_hz == 0) return std::nullopt;
  // Shifted so that a tick is in [1/2, 1) ns: then the multiplier uses all its 32 bits. Bits that are shifted out are rounded up
  // (at most one part in 10^9), the quotient down: both make time run slow rather than fast.
  i8 shift = 0;
  u64 hz = tsc_hz;
  while (hz > 2 * k_ns_per_second) { hz = (hz >> 1) + (hz & 1); --shift; }
  while (hz <= k_ns_per_second) { hz <<= 1; ++shift; }
  return TscRate{static_cast<u32>((k_ns_per_second << 32) / hz), shift};
}

bool KvmClock::set_frequency(u64 tsc_hz) {
  const auto rate = tsc_rate(tsc_hz);
  if (rate) rate_ = *rate;
  return rate.has_value();
}

const PvClock& KvmClock::update(u64 now_tsc, u64 now_ns) {
  if (anchored_) {
    now_tsc = std::max(now_tsc, clock_.tsc_timestamp);
    now_ns = std::max(now_ns, clock_time(clock_, now_tsc) + k_rounding_ns);
  }
  anchored_ = true;
  clock_.tsc_timestamp = now_tsc;
  clock_.system_time = now_ns;
  clock_.tsc_to_system_mul = rate_.mul;
  clock_.tsc_shift = rate_.shift;
  clock_.flags = k_pvclock_tsc_stable;
  return clock_;
}

void KvmClock::move_tsc(u64 before, u64 after) {
  if (!anchored_) return;
  clock_.system_time = clock_time(clock_, std::max(before, clock_.tsc_timestamp));
  clock_.tsc_timestamp = after;
}

Result<ClockLocation> parse_system_time(u64 msr_value) {
  if ((msr_value & 1) == 0) return ClockLocation{};
  const u64 address = msr_value & ~u64{1};
  OCTAVO_TRY(location_valid(address, sizeof(PvClock)));
  return ClockLocation{true, Gpa{address}};
}

Result<Gpa> parse_wall_clock(u64 msr_value) {
  OCTAVO_TRY(location_valid(msr_value, sizeof(PvWallClock)));
  return Gpa{msr_value};
}

Result<> publish(walk::GuestBytes& memory, Gpa gpa, const PvClock& clock) { return publish_structure(memory, gpa, clock); }
Result<> publish(walk::GuestBytes& memory, Gpa gpa, const PvWallClock& clock) { return publish_structure(memory, gpa, clock); }

PvWallClock wall_clock(u64 wall_ns, u64 guest_ns) {
  const u64 origin = wall_ns > guest_ns ? wall_ns - guest_ns : 0;
  return {0, static_cast<u32>(origin / k_ns_per_second), static_cast<u32>(origin % k_ns_per_second)};
}
}  // namespace octavo::vcpu
