// SPDX-License-Identifier: Apache-2.0
// Time: the TSC, whose rate is measured once against a clock of known rate, and the local APIC's timer. uptime_ns(), set_timer() and
// cancel_timer() of platform.hpp are implemented here.
#pragma once
#include <string_view>

#include "lib/error.hpp"

namespace octavo::arch::clock {

/// uptime_ns() counts from this TSC value; boot notes it as its first act.
void start(u64 tsc);
/// Measures TSC and local APIC timer (about 10 ms), then time runs. unsupported: neither an ACPI timer nor a PIT ticks.
[[nodiscard]] Result<> calibrate();
/// Handler of Vector::timer.
void on_timer();
/// Each CPU, after local_apic::enable().
void enable_timer();

[[nodiscard]] u64 tsc_hz();
[[nodiscard]] u64 apic_timer_hz();        ///< 0 when deadlines are given in TSC
[[nodiscard]] std::string_view source();  ///< what the TSC was measured against
/// The TSC at that time, and back. Exact to a part in 2^30.
[[nodiscard]] u64 tsc_at(u64 uptime_ns);
[[nodiscard]] u64 uptime_at(u64 tsc);
/// Waits, in a loop. For the pauses that hardware wants at boot.
void busy_wait_ns(u64 ns);
}  // namespace octavo::arch::clock
