// SPDX-License-Identifier: Apache-2.0
// The 8254 in its board against Intel's data sheet (231164). What each mode does to OUT and the count, tick for tick, is compared
// with a counter that really counts in tests/property/devices.
#include <catch2/catch.hpp>

#include "devices/pit.hpp"
#include "devices/ticks.hpp"
#include "tests/unit/devices/fakes.hpp"

namespace octavo::devices {
namespace {

struct Fixture {
  test::ManualClock clock;
  test::Wire irq;
  Pit pit{clock, irq};
  void out(u16 port, u8 value) { pit.write(port, 1, value); }
  u8 in(u16 port) { return static_cast<u8>(pit.read(port, 1)); }
  void at_tick(u64 tick) {
    clock.ns = PitTicks::to_ns(tick);
    pit.advance(clock.ns);
  }
  void program(unsigned channel, u8 mode, u16 count) {
    out(0x43, static_cast<u8>(channel << 6 | 0x30U | unsigned{mode} << 1));
    out(static_cast<u16>(0x40 + channel), static_cast<u8>(count));
    out(static_cast<u16>(0x40 + channel), static_cast<u8>(count >> 8));
  }
  u16 latched(unsigned channel) {
    out(0x43, static_cast<u8>(channel << 6));
    const u16 low = in(static_cast<u16>(0x40 + channel));
    return static_cast<u16>(low | in(static_cast<u16>(0x40 + channel)) << 8);
  }
};
}  // namespace

TEST_CASE_METHOD(Fixture, "PIT: mode 2 interrupts each N ticks, exactly, for a year") {
  program(0, 2, 11932);
  irq.rises = 0;
  const u64 first = 1 + 11932;  // the CLK after the write loads
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(first));
  at_tick(first - 1);
  CHECK(irq.rises == 0);
  at_tick(first);
  CHECK(irq.rises == 1);
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(first + 11932));
  const u64 year = 365ULL * 86400 * 1'193'182;
  const u64 periods = (year - 1) / 11932;
  at_tick(year);
  CHECK(irq.rises == 2);
  CHECK(pit.missed_ticks() == periods - 2);  // one for the first, one delivered for all the others
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(1 + (periods + 1) * 11932));
}

TEST_CASE_METHOD(Fixture, "PIT: mode 3 drives IRQ 0 once a period") {
  program(0, 3, 1001);
  at_tick(1 + 1001);
  CHECK(irq.rises == 1);
  at_tick(1 + 2 * 1001 - 1);
  CHECK(irq.rises == 1);
  CHECK(irq.level);  // the tick is not taken back in the low half
  at_tick(1 + 2 * 1001);
  CHECK(irq.rises == 2);
  CHECK(pit.missed_ticks() == 0);
}

TEST_CASE_METHOD(Fixture, "PIT: mode 0 interrupts once, the control word takes it back") {
  program(0, 0, 100);
  irq.rises = 0;
  at_tick(1 + 99);
  CHECK_FALSE(irq.level);
  at_tick(1 + 100);
  CHECK(irq.level);
  CHECK_FALSE(pit.next_deadline_ns());
  at_tick(1'000'000);
  CHECK(irq.rises == 1);
  out(0x43, 0x30);
  CHECK_FALSE(irq.level);
}

TEST_CASE_METHOD(Fixture, "PIT: mode 4 as Linux' one-shot: each write of a count interrupts once, N + 1 ticks later") {
  out(0x43, 0x38);
  for (u64 start = 1000; start < 5000; start += 1000) {
    at_tick(start);
    const unsigned before = irq.rises;
    out(0x40, 0xC8);
    out(0x40, 0x00);
    CHECK(pit.next_deadline_ns() == PitTicks::to_ns(start + 1 + 200 + 1));
    at_tick(start + 201);
    CHECK(irq.rises == before);
    at_tick(start + 202);
    CHECK(irq.rises == before + 1);
    CHECK_FALSE(pit.next_deadline_ns());
  }
}

TEST_CASE_METHOD(Fixture, "PIT: a rewritten one-shot does not fire for the old count") {
  program(0, 4, 100);
  const unsigned before = irq.rises;
  at_tick(50);
  out(0x40, 0xE8);
  out(0x40, 0x03);
  at_tick(50 + 1 + 1000);
  CHECK(irq.rises == before);
  at_tick(50 + 1 + 1001);
  CHECK(irq.rises == before + 1);
}

TEST_CASE_METHOD(Fixture, "PIT: a new count in mode 2 begins with the next period") {
  program(0, 2, 1000);
  at_tick(500);
  out(0x40, 0xF4);
  out(0x40, 0x01);
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(1001));
  at_tick(1001);
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(1501));
}

TEST_CASE_METHOD(Fixture, "PIT: a count of 0 is 65536, in BCD 10000") {
  const bool bcd = GENERATE(false, true);
  out(0x43, static_cast<u8>(0x34 | (bcd ? 1 : 0)));
  out(0x40, 0);
  out(0x40, 0);
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(1 + (bcd ? 10'000 : 65'536)));
  at_tick(2);
  CHECK(latched(0) == (bcd ? 0x9999 : 0xFFFF));
}

TEST_CASE_METHOD(Fixture, "PIT: counter latch holds until read, a second latch is ignored, reprogramming frees it") {
  out(0x61, 0x01);
  program(2, 2, 50'000);
  at_tick(1001);
  out(0x43, 0x80);
  at_tick(2001);
  out(0x43, 0x80);
  CHECK(in(0x42) == ((50'000 - 1000) & 0xFF));
  at_tick(3001);
  CHECK(in(0x42) == (50'000 - 1000) >> 8);
  CHECK(latched(2) == 50'000 - 3000);
  out(0x43, 0x80);
  out(0x43, 0x94);  // low byte only, mode 2
  out(0x42, 77);
  at_tick(3002);
  CHECK(in(0x42) == 77);
}

TEST_CASE_METHOD(Fixture, "PIT: read-back latches status before count, for all counters at once") {
  program(0, 2, 3000);
  program(1, 3, 18);
  at_tick(101);
  out(0x43, 0xC6);  // status and count of 0 and 1
  CHECK(in(0x40) == 0xB4);  // OUT high, count loaded, both bytes, mode 2
  CHECK((in(0x40) | in(0x40) << 8) == 2900);
  CHECK((in(0x41) & 0x7F) == 0x36);
  CHECK((in(0x41) | in(0x41) << 8) == 18 - 2 * (100 % 9));
  out(0x43, 0x34);
  out(0x43, 0xE2);
  CHECK(in(0x40) == 0xF4);  // null count after the control word
}

TEST_CASE_METHOD(Fixture, "PIT: byte orders") {
  out(0x43, 0x14);  // channel 0, low byte only
  out(0x40, 200);
  at_tick(11);
  CHECK(in(0x40) == 190);
  CHECK(in(0x40) == 190);
  out(0x43, 0x24);  // high byte only
  out(0x40, 2);
  at_tick(12 + 12);
  CHECK(in(0x40) == 1);
  CHECK(pit.next_deadline_ns() == PitTicks::to_ns(12 + 512));
}

TEST_CASE_METHOD(Fixture, "PIT: channel 2 through port 0x61, as Linux calibrates the TSC") {
  out(0x61, static_cast<u8>((in(0x61) & ~0x02) | 0x01));
  program(2, 0, 11932);
  CHECK((in(0x61) & 0x20) == 0);
  at_tick(1 + 11931);
  CHECK((in(0x61) & 0x20) == 0);
  at_tick(1 + 11932);
  CHECK((in(0x61) & 0x20) != 0);
  CHECK(irq.rises == 0);
}

TEST_CASE_METHOD(Fixture, "PIT: the gate of channel 2 stops mode 0 and lets it go on") {
  out(0x61, 0x01);
  program(2, 0, 1000);
  at_tick(101);
  out(0x61, 0x00);
  at_tick(10'000);
  CHECK(latched(2) == 900);
  out(0x61, 0x01);
  at_tick(10'900 - 1);
  CHECK((in(0x61) & 0x20) == 0);
  at_tick(10'900);
  CHECK((in(0x61) & 0x20) != 0);
}

TEST_CASE_METHOD(Fixture, "PIT: the refresh bit toggles each 15 microseconds, unused bits read as zero") {
  const u8 first = in(0x61);
  clock.ns = 15'085;
  CHECK((first ^ in(0x61)) == 0x10);
  clock.ns = 2 * 15'085;
  CHECK(in(0x61) == first);
  out(0x61, 0xFE);
  CHECK((in(0x61) & 0xCF) == 0x0E);
  CHECK(in(0x43) == 0xFF);
}

TEST_CASE_METHOD(Fixture, "PIT: reset stops everything") {
  program(0, 2, 100);
  at_tick(101);
  pit.reset();
  CHECK_FALSE(irq.level);
  CHECK_FALSE(pit.next_deadline_ns());
}
}  // namespace octavo::devices
