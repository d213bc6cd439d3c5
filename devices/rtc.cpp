// SPDX-License-Identifier: Apache-2.0
#include "devices/rtc.hpp"

#include <algorithm>
#include <ranges>

#include "lib/calendar.hpp"
#include "devices/ticks.hpp"

namespace octavo::devices {
namespace {
enum Register : u8 { seconds = 0, seconds_alarm, minutes, minutes_alarm, hours, hours_alarm, weekday, day, month, year,
                     a = 10, b, c, d, century = 0x32 };
constexpr u8 k_a_updating = 0x80, k_a_divider_reset = 0x60, k_a_divider_32khz = 0x20, k_a_rate = 0x0F;
constexpr u8 k_b_set = 0x80, k_b_update = 0x10, k_b_square_wave = 0x08, k_b_binary = 0x04, k_b_24_hours = 0x02;
constexpr u8 k_periodic = 0x40, k_alarm = 0x20, k_update = 0x10, k_flags = k_periodic | k_alarm | k_update;  // in B and C alike
constexpr u8 k_c_interrupt = 0x80, k_d_valid = 0x80, k_pm = 0x80, k_any = 0xC0;
constexpr u8 k_default_rate = 0x06;
constexpr u64 k_update_warning_ns = 244'000;                 // UIP rises this long before an update
constexpr i64 k_half_second_ns = 500'000'000, k_day = 86'400;
constexpr u64 k_end_of_year_9999 = 253'402'300'799;

constexpr bool is_alarm(u8 index) { return index == seconds_alarm || index == minutes_alarm || index == hours_alarm; }
constexpr bool is_time(u8 index) { return (index < a && !is_alarm(index)) || index == century; }
}  // namespace

Rtc::Rtc(const Clock& clock, InterruptLine& irq8, u64 start_unix_seconds)
    : clock_(clock), irq_(irq8), base_second_(static_cast<i64>(std::min(start_unix_seconds, k_end_of_year_9999))) {
  memory_[a] = k_a_divider_32khz | k_default_rate;
  memory_[b] = k_b_24_hours;
  memory_[d] = k_d_valid;
  const u64 now_ns = clock.now_ns();
  seen_second_ = second_at(now_ns);
  seen_periods_ = periods_at(now_ns);
  next_alarm_ = find_alarm(seen_second_);
}

bool Rtc::divider_reset() const { return (memory_[a] & k_a_divider_reset) == k_a_divider_reset; }
bool Rtc::stopped() const { return (memory_[b] & k_b_set) != 0 || divider_reset(); }

i64 Rtc::second_at(u64 now_ns) const { return base_second_ + static_cast<i64>(since_epoch(now_ns) / k_ns_per_second); }

// Table 5: 122.070 us for rate 3, twice that for each step; rates 1 and 2 are those of 8 and 9. 0 = off.
u64 Rtc::period_ticks() const {
  const unsigned rate = memory_[a] & k_a_rate;
  if (rate == 0 || divider_reset()) return 0;
  return u64{1} << (rate < 3 ? rate + 6 : rate - 1);
}

u64 Rtc::periods_at(u64 now_ns) const {
  const u64 ticks = period_ticks();
  return ticks == 0 ? 0 : RtcTicks::from_ns(since_epoch(now_ns)) / ticks;
}

u8 Rtc::encode(i64 value) const {
  if ((memory_[b] & k_b_binary) != 0) return static_cast<u8>(value);
  return static_cast<u8>(value / 10 << 4 | value % 10);
}

i64 Rtc::decode(u8 value) const { return (memory_[b] & k_b_binary) != 0 ? value : (value >> 4) * 10 + (value & 15); }

u8 Rtc::encode_hour(i64 hour) const {
  if ((memory_[b] & k_b_24_hours) != 0) return encode(hour);
  return static_cast<u8>(encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? k_pm : 0));
}

i64 Rtc::decode_hour(u8 value) const {
  if ((memory_[b] & k_b_24_hours) != 0) return decode(value);
  return decode(value & 0x7F) % 12 + ((value & k_pm) != 0 ? 12 : 0);
}

void Rtc::store_time(i64 second) {
  const i64 days = floor_div(second, k_day);
  const i64 in_day = floor_mod(second, k_day);
  const Date date = to_date(days);
  memory_[seconds] = encode(in_day % 60);
  memory_[minutes] = encode(in_day / 60 % 60);
  memory_[hours] = encode_hour(in_day / 3600);
  memory_[weekday] = encode(floor_mod(days + 4, 7) + 1);  // 1970-01-01 was a Thursday; Sunday is 1
  memory_[day] = encode(date.day);
  memory_[month] = encode(date.month);
  memory_[year] = encode(floor_mod(date.year, 100));
  memory_[century] = encode(floor_mod(floor_div(date.year, 100), 100));
}

// What the guest wrote may be no time at all; each field then counts for what it says.
i64 Rtc::load_time() const {
  const i64 full_year = decode(memory_[century]) * 100 + decode(memory_[year]);
  const auto clamped_month = static_cast<unsigned>(std::clamp<i64>(decode(memory_[month]), 1, 12));
  const auto clamped_day = static_cast<unsigned>(std::max<i64>(decode(memory_[day]), 1));
  return to_days({full_year, clamped_month, clamped_day}) * k_day + decode_hour(memory_[hours]) * 3600 +
         decode(memory_[minutes]) * 60 + decode(memory_[seconds]);
}

bool Rtc::alarm_matches(unsigned index, u8 now) const {
  return (memory_[index] & k_any) == k_any || memory_[index] == now;
}

// The next second after `after` at which the alarm goes off, at most a day away. Leaps over hours and minutes that do not match.
std::optional<i64> Rtc::find_alarm(i64 after) const {
  const auto is_possible = [this](unsigned index) { return std::ranges::any_of(std::views::iota(0, 60), [&](i64 value) { return alarm_matches(index, encode(value)); }); };
  if (!is_possible(minutes_alarm) || !is_possible(seconds_alarm)) return std::nullopt;  // a day of seconds need not be gone through for that
  for (i64 t = after + 1; t <= after + k_day;) {
    const i64 in_day = floor_mod(t, k_day);
    if (!alarm_matches(hours_alarm, encode_hour(in_day / 3600))) {
      t += 3600 - in_day % 3600;
    } else if (!alarm_matches(minutes_alarm, encode(in_day / 60 % 60))) {
      t += 60 - in_day % 60;
    } else if (!alarm_matches(seconds_alarm, encode(in_day % 60))) {
      ++t;
    } else {
      return t;
    }
  }
  return std::nullopt;
}

/// The clock goes on from what the time registers say, without a change of the divider's phase.
void Rtc::set_time(u64 now_ns) {
  base_second_ = load_time() - static_cast<i64>(since_epoch(now_ns) / k_ns_per_second);
  seen_second_ = second_at(now_ns);
}

void Rtc::advance(u64 now_ns) {
  if (const u64 periods = periods_at(now_ns); periods != seen_periods_) {
    seen_periods_ = periods;
    memory_[c] |= k_periodic;
  }
  if (!stopped()) {
    if (const i64 second = second_at(now_ns); second != seen_second_) {
      seen_second_ = second;
      memory_[c] |= k_update;
      if (next_alarm_ && *next_alarm_ <= second) {
        memory_[c] |= k_alarm;
        next_alarm_ = find_alarm(second);
      }
    }
  }
  update();
}

void Rtc::update() { irq_.set((memory_[b] & memory_[c] & k_flags) != 0); }

std::optional<u64> Rtc::next_deadline_ns() const {
  const u8 wanted = memory_[b] & static_cast<u8>(~memory_[c]) & k_flags;
  std::optional<u64> first;
  const auto consider = [&](u64 since) {
    const u64 at = static_cast<u64>(epoch_ns_ + static_cast<i64>(since));
    if (!first || at < *first) first = at;
  };
  const auto at_second = [&](i64 second) { consider(static_cast<u64>(second - base_second_) * k_ns_per_second); };
  if ((wanted & k_periodic) != 0 && period_ticks() != 0) consider(RtcTicks::to_ns((seen_periods_ + 1) * period_ticks()));
  if (!stopped()) {
    if ((wanted & k_update) != 0) at_second(seen_second_ + 1);
    if ((wanted & k_alarm) != 0 && next_alarm_) at_second(*next_alarm_);
  }
  return first;
}

u8 Rtc::read_register(u8 index, u64 now_ns) {
  if (index == c) {
    const u8 flags = memory_[c];
    const bool interrupts = (flags & memory_[b] & k_flags) != 0;
    memory_[c] = 0;
    return static_cast<u8>(flags | (interrupts ? k_c_interrupt : 0));
  }
  if (index == a) {
    const bool updating = !stopped() && since_epoch(now_ns) % k_ns_per_second >= k_ns_per_second - k_update_warning_ns;
    return static_cast<u8>(memory_[a] | (updating ? k_a_updating : 0));
  }
  if (is_time(index) && !stopped()) store_time(second_at(now_ns));
  return memory_[index];
}

void Rtc::write_register(u8 index, u8 value, u64 now_ns) {
  if (index == c || index == d) return;
  if (index == a || index == b) return write_control(index, value, now_ns);
  if (is_time(index) && !stopped()) {  // into the running clock
    store_time(second_at(now_ns));
    memory_[index] = value;
    set_time(now_ns);
  } else {
    memory_[index] = value;
  }
  if (index < a || index == century) next_alarm_ = find_alarm(seen_second_);
}

void Rtc::write_control(u8 index, u8 value, u64 now_ns) {
  const bool was_stopped = stopped();
  const bool was_reset = divider_reset();
  if (!was_stopped) store_time(second_at(now_ns));
  if (index == a) {
    memory_[a] = value & static_cast<u8>(~k_a_updating);
  } else {
    memory_[b] = value;
    // "SET: the UIE bit is cleared"
    if ((value & k_b_set) != 0) memory_[b] &= static_cast<u8>(~k_b_update);
  }
  // "The first update cycle begins one-half second after the divider is released."
  if (was_reset && !divider_reset()) epoch_ns_ = static_cast<i64>(now_ns) - k_half_second_ns;
  // If the format has changed, the same bytes stand for another time, as on the chip.
  if (!stopped()) set_time(now_ns);
  seen_periods_ = periods_at(now_ns);
  next_alarm_ = find_alarm(seen_second_);
}

u32 Rtc::read(u16 port, unsigned /*size*/) {
  if ((port & 1) == 0) return 0xFF;  // the index cannot be read
  const u64 now_ns = clock_.now_ns();
  advance(now_ns);
  const u8 value = read_register(index_, now_ns);
  update();
  return value;
}

void Rtc::write(u16 port, unsigned /*size*/, u32 value) {
  const u8 byte = static_cast<u8>(value);
  if ((port & 1) == 0) {
    index_ = byte & 0x7F;
    return;
  }
  const u64 now_ns = clock_.now_ns();
  advance(now_ns);
  write_register(index_, byte, now_ns);
  update();
}

void Rtc::reset() {
  memory_[b] &= static_cast<u8>(~(k_flags | k_b_square_wave));
  memory_[c] = 0;
  index_ = 0;
  update();
}
}  // namespace octavo::devices
