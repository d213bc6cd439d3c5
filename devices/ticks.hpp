// SPDX-License-Identifier: Apache-2.0
// Nanoseconds to the ticks of a crystal and back, exact, in 64-bit integers, without drift: both directions split off whole
// seconds first, so no product overflows for any u64 of nanoseconds (584 years).
#pragma once
#include "lib/int.hpp"

namespace octavo::devices {

inline constexpr u64 k_ns_per_second = 1'000'000'000;

template <u64 hz>
  requires(hz > 0 && hz <= k_ns_per_second)
struct Ticks {
  /// How many ticks have passed at `ns`: floor(ns * hz / 10^9).
  [[nodiscard]] static constexpr u64 from_ns(u64 ns) {
    return ns / k_ns_per_second * hz + ns % k_ns_per_second * hz / k_ns_per_second;
  }
  /// The first nanosecond at which `ticks` ticks have passed: ceil(ticks * 10^9 / hz), the greatest u64 when it does not fit.
  [[nodiscard]] static constexpr u64 to_ns(u64 ticks) {
    const auto whole = checked_mul(ticks / hz, k_ns_per_second);
    const u64 part = (ticks % hz * k_ns_per_second + hz - 1) / hz;
    const auto sum = whole ? checked_add(*whole, part) : std::nullopt;
    return sum ? *sum : ~u64{0};
  }
};

using PitTicks = Ticks<1'193'182>;    ///< 8254 input clock, 14.31818 MHz / 12, rounded as operating systems round it
using PmTicks = Ticks<3'579'545>;     ///< ACPI power management timer (ACPI 6.4, 4.8.3.3)
using RtcTicks = Ticks<32'768>;       ///< time base of the real-time clock
}  // namespace octavo::devices
