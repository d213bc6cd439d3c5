// SPDX-License-Identifier: Apache-2.0
// The real-time clock against the MC146818A data sheet; time conversions and the calendar against known dates.
#include <catch2/catch.hpp>

#include "lib/calendar.hpp"
#include "devices/rtc.hpp"
#include "devices/ticks.hpp"
#include "tests/unit/devices/fakes.hpp"

namespace octavo::devices {
namespace {
constexpr u64 k_second = k_ns_per_second;
constexpr u64 k_start = 1'709'164'799;  // Wednesday 2024-02-28 23:59:59

struct Fixture {
  test::ManualClock clock;
  test::Wire irq;
  Rtc rtc{clock, irq, k_start};
  void set(u8 index, u8 value) {
    rtc.write(0x70, 1, 0x80U | index);  // with NMI masked
    rtc.write(0x71, 1, value);
  }
  u8 get(u8 index) {
    rtc.write(0x70, 1, index);
    return static_cast<u8>(rtc.read(0x71, 1));
  }
  void at(u64 ns) {
    clock.ns = ns;
    rtc.advance(ns);
  }
  void check_time(u8 century, u8 year, u8 month, u8 day, u8 hour, u8 minute, u8 second) {
    CHECK(get(0x32) == century);
    CHECK(get(9) == year);
    CHECK(get(8) == month);
    CHECK(get(7) == day);
    CHECK(get(4) == hour);
    CHECK(get(2) == minute);
    CHECK(get(0) == second);
  }
};
}  // namespace

TEST_CASE_METHOD(Fixture, "RTC: time of day in BCD, over midnight into a leap day") {
  check_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59);
  CHECK(get(6) == 4);
  clock.ns = k_second;
  check_time(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
  CHECK(get(6) == 5);
  CHECK(get(0x0D) == 0x80);
}

TEST_CASE_METHOD(Fixture, "RTC: binary and 12-hour formats") {
  set(0x0B, 0x06);
  // The format changes, not the bytes: 0x59 is now 89.
  set(0x0B, 0x86);
  const u8 time[][2] = {{0x32, 19}, {9, 99}, {8, 12}, {7, 31}, {4, 12}, {2, 30}, {0, 15}};
  for (const auto& [index, value] : time) set(index, value);
  set(0x0B, 0x06);
  check_time(19, 99, 12, 31, 12, 30, 15);
  set(0x0B, 0x84);
  set(4, 0x80 | 12);  // noon
  set(0x0B, 0x04);
  clock.ns += 12 * 3600 * k_second;
  CHECK(get(4) == 12);  // midnight
  CHECK(get(7) == 1);
  CHECK(get(0x32) == 20);
  CHECK(get(9) == 0);
}

TEST_CASE_METHOD(Fixture, "RTC: SET stops the clock and the guest sets it, as Linux does") {
  clock.ns = 300'000'000;
  const u8 control = get(0x0B);
  const u8 rate = get(0x0A);
  set(0x0B, control | 0x80);
  set(0x0A, rate | 0x70);
  const u8 time[][2] = {{0x32, 0x20}, {9, 0x31}, {8, 0x07}, {7, 0x15}, {4, 0x10}, {2, 0x20}, {0, 0x30}};
  for (const auto& [index, value] : time) set(index, value);
  clock.ns += 10 * k_second;
  check_time(0x20, 0x31, 0x07, 0x15, 0x10, 0x20, 0x30);
  set(0x0B, control);
  set(0x0A, rate);
  // "The first update cycle begins one-half second after the divider is released."
  clock.ns += k_second / 2 - 1;
  CHECK(get(0) == 0x30);
  clock.ns += 1;
  CHECK(get(0) == 0x31);
  check_time(0x20, 0x31, 0x07, 0x15, 0x10, 0x20, 0x31);
}

TEST_CASE_METHOD(Fixture, "RTC: a register written into the running clock keeps the phase") {
  clock.ns = 900'000'000;
  set(2, 0x10);
  CHECK(get(0) == 0x59);
  clock.ns = k_second;
  CHECK(get(2) == 0x11);
}

TEST_CASE_METHOD(Fixture, "RTC: UIP warns 244 microseconds before the update, not while SET") {
  clock.ns = k_second - 244'001;
  CHECK((get(0x0A) & 0x80) == 0);
  clock.ns = k_second - 244'000;
  CHECK((get(0x0A) & 0x80) != 0);
  set(0x0B, 0x82);
  CHECK((get(0x0A) & 0x80) == 0);
  set(0x0B, 0x02);
  clock.ns = k_second;
  CHECK((get(0x0A) & 0x80) == 0);
}

TEST_CASE_METHOD(Fixture, "RTC: update-ended interrupt, once until C is read") {
  set(5, 0x12);  // alarm at noon, not in the next second
  set(0x0B, 0x12);
  CHECK(rtc.next_deadline_ns() == k_second);
  at(k_second);
  CHECK(irq.rises == 1);
  CHECK_FALSE(rtc.next_deadline_ns());
  at(5 * k_second);
  CHECK(irq.rises == 1);
  CHECK((get(0x0C) & 0xB0) == 0x90);
  CHECK_FALSE(irq.level);
  CHECK((get(0x0C) & 0xB0) == 0x00);
  CHECK(rtc.next_deadline_ns() == 6 * k_second);
}

TEST_CASE_METHOD(Fixture, "RTC: flags rise without their enables, IRQF does not") {
  at(k_second);
  CHECK(get(0x0C) == 0x70);  // update ended, alarm at midnight, a periodic tick of the default rate
  CHECK(irq.rises == 0);
}

TEST_CASE_METHOD(Fixture, "RTC: the periodic rates") {
  const unsigned rate = GENERATE(range(1U, 16U));
  set(0x0A, static_cast<u8>(0x20 | rate));
  set(0x0B, 0x42);
  const u64 frequency = rate == 1 ? 256U : rate == 2 ? 128U : 65'536U >> rate;
  const auto deadline = rtc.next_deadline_ns();
  REQUIRE(deadline);
  CHECK(*deadline == (k_second + frequency - 1) / frequency);
  at(*deadline);
  CHECK(get(0x0C) == 0xC0);
  CHECK(rtc.next_deadline_ns() == (2 * k_second + frequency - 1) / frequency);
}

TEST_CASE_METHOD(Fixture, "RTC: rate 0 and a divider in reset are never periodic") {
  set(0x0B, 0x42);
  set(0x0A, GENERATE(u8{0x20}, u8{0x66}));
  CHECK_FALSE(rtc.next_deadline_ns());
  at(10 * k_second);
  CHECK((get(0x0C) & 0x40) == 0);
}

TEST_CASE_METHOD(Fixture, "RTC: alarm at a time, with wildcards, and never") {
  struct Case { u8 hour, minute, second; std::optional<u64> in; };
  const auto c = GENERATE(values<Case>({{0x06, 0x30, 0x15, 1 + 6 * 3600 + 30 * 60 + 15},
                                        {0xFF, 0xFF, 0xFF, 1},
                                        {0xFF, 0x05, 0x00, 1 + 300},
                                        {0x23, 0x59, 0x59, 86'400},
                                        {0xC0, 0xC0, 0x10, 11},
                                        {0x24, 0x00, 0x00, std::nullopt},
                                        {0x00, 0x00, 0x6A, std::nullopt}}));
  set(5, c.hour);
  set(3, c.minute);
  set(1, c.second);
  set(0x0B, 0x22);
  CHECK(rtc.next_deadline_ns().has_value() == c.in.has_value());
  if (!c.in) return;
  CHECK(rtc.next_deadline_ns() == *c.in * k_second);
  at(*c.in * k_second - 1);
  CHECK(irq.rises == 0);
  at(*c.in * k_second);
  CHECK(irq.rises == 1);
  CHECK((get(0x0C) & 0xA0) == 0xA0);
}

TEST_CASE_METHOD(Fixture, "RTC: an alarm in a gap of days that nobody watched has gone off") {
  set(5, 0x12);
  set(0x0B, 0x22);
  at(10 * 86'400 * k_second);
  CHECK(irq.level);
}

TEST_CASE_METHOD(Fixture, "RTC: memory keeps what is written, also over reset, which turns interrupts off") {
  set(0x0F, 0x5A);
  set(0x7F, 0xA5);
  set(0x0B, 0x72);
  at(k_second);
  CHECK(irq.level);
  rtc.reset();
  CHECK_FALSE(irq.level);
  CHECK(get(0x0B) == 0x02);
  CHECK(get(0x0F) == 0x5A);
  CHECK(get(0x7F) == 0xA5);
  CHECK(get(0) == 0x00);
}

TEST_CASE("calendar: every day of 800 years there and back") {
  Date expected{1600, 1, 1};
  for (i64 days = to_days(expected); expected.year < 2400; ++days) {
    const Date date = to_date(days);
    if (!(date == expected && to_days(date) == days)) FAIL("day " << days);
    const unsigned length = expected.month == 2 ? (is_leap_year(expected.year) ? 29 : 28)
                            : expected.month == 4 || expected.month == 6 || expected.month == 9 || expected.month == 11 ? 30 : 31;
    if (++expected.day > length) {
      expected.day = 1;
      if (++expected.month > 12) { expected.month = 1; ++expected.year; }
    }
  }
  CHECK(to_days({1970, 1, 1}) == 0);
}

TEST_CASE("ticks: whole seconds are exact, the first nanosecond of a tick is the first") {
  STATIC_REQUIRE(PitTicks::from_ns(k_second) == 1'193'182);
  STATIC_REQUIRE(PmTicks::from_ns(1000 * k_second) == 3'579'545'000);
  STATIC_REQUIRE(RtcTicks::to_ns(32'768) == k_second);
  STATIC_REQUIRE(PitTicks::to_ns(~u64{0}) == ~u64{0});  // saturates
  STATIC_REQUIRE(PmTicks::from_ns(~u64{0}) == static_cast<u64>(static_cast<unsigned __int128>(~u64{0}) * 3'579'545 / k_second));
  for (u64 tick = 1; tick < 1ULL << 50; tick = tick * 3 + 1) {
    CHECK(PitTicks::from_ns(PitTicks::to_ns(tick)) == tick);
    CHECK(PitTicks::from_ns(PitTicks::to_ns(tick) - 1) == tick - 1);
  }
}
}  // namespace octavo::devices
