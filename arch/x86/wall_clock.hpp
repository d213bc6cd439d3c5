// SPDX-License-Identifier: Apache-2.0
// The time of day. wall_clock_seconds() is in platform.hpp.
#pragma once
namespace octavo::arch {
/// Reads the CMOS clock; boot calls it once, after the TSC has been measured.
void start_wall_clock();
}  // namespace octavo::arch
