// SPDX-License-Identifier: Apache-2.0
// The time of day: read once from the CMOS clock (MC146818), counted on by the TSC from then on.
#include "arch/x86/wall_clock.hpp"

#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"
#include "lib/calendar.hpp"

namespace octavo::arch {
namespace {
constexpr u16 k_index_port = 0x70, k_data_port = 0x71;
constexpr u8 k_status_a = 0x0A, k_status_b = 0x0B, k_update_in_progress = 0x80, k_binary = 0x04, k_24_hours = 0x02, k_pm = 0x80;
constexpr int k_attempts = 100'000;

constinit u64 seconds_at_boot = 0;

u8 cmos(u8 index) {
  out8(k_index_port, index);
  return in8(k_data_port);
}

struct Reading {
  u8 second, minute, hour, day, month, year;
  bool operator==(const Reading&) const = default;
};

Reading read_registers() {
  for (int i = 0; i < k_attempts && (cmos(k_status_a) & k_update_in_progress) != 0; ++i) relax();
  return {cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9)};
}
}  // namespace

void start_wall_clock() {
  Reading now = read_registers();
  for (int i = 0; i < 8; ++i) {  // two equal readings in a row were not cut in two by an update
    const Reading again = read_registers();
    if (again == now) break;
    now = again;
  }
  const u8 status = cmos(k_status_b);
  const auto number = [status](u8 value) -> unsigned { return (status & k_binary) != 0 ? value : (value >> 4) * 10u + (value & 15u); };
  unsigned hour = number(now.hour & static_cast<u8>(~k_pm));
  if ((status & k_24_hours) == 0) hour = hour % 12 + ((now.hour & k_pm) != 0 ? 12 : 0);
  const unsigned month = number(now.month);
  if (month < 1 || month > 12) return;  // no clock there: 1970
  const i64 days = to_days({2000 + static_cast<i64>(number(now.year)), month, number(now.day)});
  seconds_at_boot = static_cast<u64>(days) * 86'400 + hour * 3600 + number(now.minute) * 60 + number(now.second) - uptime_ns() / 1'000'000'000;
}

u64 wall_clock_seconds() { return seconds_at_boot + uptime_ns() / 1'000'000'000; }
}  // namespace octavo::arch
