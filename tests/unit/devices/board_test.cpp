// SPDX-License-Identifier: Apache-2.0
// The bus, the small devices and the board as a whole.
#include <catch2/catch.hpp>

#include "devices/board.hpp"
#include "devices/ticks.hpp"
#include "tests/unit/devices/fakes.hpp"

namespace octavo::devices {
namespace {
using Unknown = test::Events::Unknown;

struct Fixture {
  test::ManualClock clock;
  test::Events events;
  Board board{clock, events, 1'700'000'000};
  void out(u16 port, u32 value, unsigned size = 1) { board.write(port, size, value); }
  u32 in(u16 port, unsigned size = 1) { return board.read(port, size); }
  void init_pic() {
    out(0x20, 0x11); out(0x21, 0x30); out(0x21, 0x04); out(0x21, 0x01);
    out(0xA0, 0x11); out(0xA1, 0x38); out(0xA1, 0x02); out(0xA1, 0x01);
  }
};

struct Bytes final : PortDevice {  // answers with the port's low byte, remembers what it was asked
  std::vector<std::pair<u16, unsigned>> seen;
  [[nodiscard]] u32 read(u16 port, unsigned size) override {
    seen.emplace_back(port, size);
    return size == 1 ? port & 0xFFU : 0xAABBCCDD;
  }
  void write(u16 port, unsigned size, u32 value) override {
    seen.emplace_back(port, size);
    last = value;
  }
  void reset() override {}
  u32 last = 0;
};
}  // namespace

TEST_CASE("bus: wide accesses to byte devices and across edges become bytes in ascending order") {
  test::Events events;
  PortBus bus{events};
  Bytes narrow, wide;
  bus.attach(narrow, PortWidth::byte, PortTimed::no, {{0x10, 4}});
  bus.attach(wide, PortWidth::wide, PortTimed::yes, {{0x14, 2}, {0xFFC, 4}});
  CHECK(bus.read(0x10, 4) == 0x13121110);
  CHECK(narrow.seen == std::vector<std::pair<u16, unsigned>>{{0x10, 1}, {0x11, 1}, {0x12, 1}, {0x13, 1}});
  CHECK(bus.read(0x14, 2) == 0xCCDD);
  CHECK(bus.timed_accesses() == 1);
  CHECK(bus.read(0x13, 2) == 0x1413);
  CHECK(bus.read(0x15, 2) == 0xFF15);
  CHECK(events.unknown == std::vector<Unknown>{{0x16, 1, false}});
  wide.seen.clear();
  bus.write(0xFFC, 4, 0x12345678);
  CHECK(wide.last == 0x12345678);
  bus.write(0xFFE, 4, 0x12345678);
  CHECK(wide.last == 0x56);
  CHECK(wide.seen == std::vector<std::pair<u16, unsigned>>{{0xFFC, 4}, {0xFFE, 1}, {0xFFF, 1}});
  bus.write(0xFFC, 1, 0xFFFFFF42);
  CHECK(wide.last == 0x42);
  CHECK(bus.counters().reads[1] == 5);
}

TEST_CASE("bus: nobody's ports read as ones, are counted and told, the last port has no next") {
  test::Events events;
  PortBus bus{events};
  CHECK(bus.read(0x300, 1) == 0xFF);
  CHECK(bus.read(0x300, 2) == 0xFFFF);
  CHECK(bus.read(0x5658, 4) == 0xFFFFFFFF);
  CHECK(bus.read(0xFFFF, 4) == 0xFFFFFFFF);
  bus.write(0xFFFE, 4, 0);
  CHECK(events.unknown == std::vector<Unknown>{{0x300, 1, false}, {0x300, 2, false}, {0x5658, 4, false}, {0xFFFF, 4, false}, {0xFFFE, 4, true}});
  CHECK(bus.counters().unknown() == 5);
  CHECK(bus.counters().recent_unknown[4] == 0xFFFE);
}

TEST_CASE_METHOD(Fixture, "board: the timer interrupts through the pair, the deadline follows what the guest writes") {
  init_pic();
  CHECK_FALSE(board.next_deadline_ns());
  out(0x43, 0x34); out(0x40, 0x9C); out(0x40, 0x2E);
  REQUIRE(board.next_deadline_ns() == PitTicks::to_ns(1 + 0x2E9C));
  for (unsigned tick = 1; tick < 100; ++tick) {
    clock.ns = *board.next_deadline_ns();
    CHECK_FALSE(board.interrupt_pending());
    board.advance();
    REQUIRE(board.interrupt_pending());
    CHECK(board.acknowledge_interrupt() == 0x30);
    out(0x20, 0x60);
    CHECK(board.next_deadline_ns() == PitTicks::to_ns(1 + (tick + 1) * 0x2E9CULL));
  }
  clock.ns += k_ns_per_second;
  board.advance();
  CHECK(board.counters().missed_timer_ticks == PitTicks::from_ns(k_ns_per_second) / 0x2E9C - 1);
}

TEST_CASE_METHOD(Fixture, "board: serial input interrupts on IRQ 4, the clock on IRQ 8") {
  init_pic();
  out(0x3FA, 0x01); out(0x3FC, 0x0B); out(0x3F9, 0x01);
  REQUIRE(board.console_can_receive());
  board.console_receive('q');
  CHECK(board.acknowledge_interrupt() == 0x34);
  CHECK(in(0x3F8) == 'q');
  out(0x20, 0x20);
  out(0x70, 0x0B); out(0x71, 0x12);
  REQUIRE(board.next_deadline_ns() == k_ns_per_second);
  clock.ns = k_ns_per_second;
  board.advance();
  CHECK(board.acknowledge_interrupt() == 0x38);
}

TEST_CASE_METHOD(Fixture, "board: every way to reset tells the domain once") {
  SECTION("keyboard controller") { out(0x64, 0xFE); }
  SECTION("its output port") { out(0x64, 0xD1); out(0x60, 0xDE); }
  SECTION("port 0x92") { out(0x92, 0x02); CHECK(events.resets == 0); out(0x92, 0x03); out(0x92, 0x03); }
  SECTION("port 0xCF9, as Linux") { out(0xCF9, 0x02); CHECK(events.resets == 0); out(0xCF9, 0x06); CHECK(in(0xCF9) == 0x06); }
  CHECK(events.resets == 1);
  board.reset();
  CHECK(in(0x92) == 0x02);
  CHECK(in(0xCF9) == 0x00);
}

TEST_CASE_METHOD(Fixture, "board: what must not reset") {
  out(0x64, 0xFF); out(0x64, 0xD1); out(0x60, 0xDF); out(0xCF8, 0xFFFFFFFF, 4); out(0xCF8, 0xFFFF, 2); out(0x92, 0x02);
  CHECK(events.resets == 0);
}

TEST_CASE_METHOD(Fixture, "board: debug exit takes the size it is given, POST codes are nobody's news") {
  out(0xF4, 0);
  out(0xF4, 0x12345678, 4);
  out(0xF4, 0xFFFF'FF07, 1);
  CHECK(events.exits == std::vector<u32>{0, 0x12345678, 7});
  out(0x80, 0x5A);
  CHECK(in(0x80) == 0x5A);
  CHECK(events.unknown.empty());
}

TEST_CASE_METHOD(Fixture, "board: there is no PCI, and Linux' two probes see it at once") {
  out(0xCFB, 0x01);
  const u32 before = in(0xCF8, 4);
  out(0xCF8, 0x80000000, 4);
  CHECK(in(0xCF8, 4) != 0x80000000);
  out(0xCF8, before, 4);
  out(0xCFB, 0); out(0xCF8, 0); out(0xCFA, 0);
  CHECK_FALSE((in(0xCF8) == 0 && in(0xCFA) == 0));
  CHECK(in(0xCFC, 4) == 0xFFFFFFFF);
  CHECK(events.unknown.empty());
  CHECK(events.resets == 0);
}

TEST_CASE_METHOD(Fixture, "board: ACPI soft off, by word and by byte, S5 only") {
  CHECK(in(0x604, 2) == 0x0001);
  out(0x604, 5U << 10, 2);
  out(0x604, (1U << 13) | (1U << 10), 2);
  CHECK(events.power_offs == 0);
  SECTION("word") { out(0x604, (1U << 13) | (5U << 10), 2); }
  SECTION("byte") { out(0x605, 0x34); }
  CHECK(events.power_offs == 1);
  CHECK((in(0x604, 2) & 0x2001) == 0x0001);  // SLP_EN is write-only
}

TEST_CASE_METHOD(Fixture, "board: the PM timer runs at 3.579545 MHz in 32 bits and interrupts when its top bit changes") {
  clock.ns = 2 * k_ns_per_second;
  CHECK(in(0x608, 4) == 2 * 3'579'545);
  CHECK(in(0x609) == (2 * 3'579'545 >> 8 & 0xFF));
  init_pic();
  out(0x602, 0x0001, 2);
  const u64 half = PmTicks::to_ns(u64{1} << 31);
  REQUIRE(board.next_deadline_ns() == half);
  clock.ns = half;
  board.advance();
  CHECK(board.acknowledge_interrupt() == 0x39);
  out(0xA0, 0x20); out(0x20, 0x20);
  CHECK(board.interrupt_pending());  // level
  CHECK((in(0x600, 2) & 1) == 1);
  CHECK(in(0x600, 4) == 0x00010001);
  out(0x600, 0x0001, 2);
  CHECK_FALSE(board.interrupt_pending());
  CHECK(board.next_deadline_ns() == PmTicks::to_ns(u64{1} << 32));
  clock.ns = PmTicks::to_ns((u64{1} << 32) + 5);
  CHECK(in(0x608, 4) == 5);
}

TEST_CASE_METHOD(Fixture, "board: the power button is an SCI once the guest enables it") {
  init_pic();
  board.press_power_button();
  CHECK_FALSE(board.interrupt_pending());
  out(0x602, 0x0100, 2);
  CHECK(board.interrupt_pending());
  out(0x601, 0x01);
  CHECK_FALSE(board.interrupt_pending());
}

TEST_CASE_METHOD(Fixture, "board: the 8042 passes its tests and has no second port, as Linux' probe asks") {
  CHECK((in(0x64) & 0x11) == 0x10);  // nothing to flush, not locked
  out(0x64, 0xAA);
  CHECK((in(0x64) & 0x05) == 0x05);
  CHECK(in(0x60) == 0x55);
  out(0x64, 0x20);
  const u32 control = in(0x60);
  out(0x64, 0x60); out(0x60, control | 0x30);
  out(0x64, 0x20);
  CHECK(in(0x60) == (control | 0x30));
  out(0x64, 0xD3); out(0x60, 0x5A);
  CHECK(in(0x60) != 0x5A);
  out(0x64, 0xA9);
  CHECK(in(0x60) == 0x01);
  out(0x64, 0xD0);
  CHECK((in(0x60) & 0x03) == 0x03);
}

TEST_CASE_METHOD(Fixture, "board: a command to the missing keyboard fails at once, with an interrupt") {
  init_pic();
  out(0x64, 0x60); out(0x60, 0x45);
  out(0x60, 0xF2);
  CHECK((in(0x64) & 0x41) == 0x41);
  CHECK(board.acknowledge_interrupt() == 0x31);
  CHECK(in(0x60) == 0xFE);
  CHECK((in(0x64) & 0x41) == 0);
}

TEST_CASE_METHOD(Fixture, "board: Linux' way from 8259 to a one-shot timer and a serial console, no port unknown") {
  // legacy_pic_probe and init_8259A
  out(0xA1, 0xFF); out(0x21, 0xFB); CHECK(in(0x21) == 0xFB);
  out(0x21, 0xFF);
  out(0x20, 0x11); out(0x21, 0x30); out(0x21, 0x04); out(0x21, 0x01);
  out(0xA0, 0x11); out(0xA1, 0x38); out(0xA1, 0x02); out(0xA1, 0x01);
  out(0x21, 0xFB); out(0xA1, 0xFF);
  // pit_hpet_ptimer_calibrate_cpu: gate 2, mode 0, wait for OUT
  out(0x61, (in(0x61) & ~0x02U) | 0x01U); out(0x43, 0xB0); out(0x42, 0x9B); out(0x42, 0x2E);
  u64 loops = 0;
  for (; (in(0x61) & 0x20) == 0; ++loops) clock.ns += 1000;
  CHECK(loops == (PitTicks::to_ns(1 + 0x2E9B) + 999) / 1000);
  // quick_pit_calibrate: the high byte steps down every 256 ticks
  out(0x43, 0xB0); out(0x42, 0xFF); out(0x42, 0xFF);
  clock.ns += 2000;
  in(0x42);
  CHECK(in(0x42) == 0xFF);
  clock.ns += PitTicks::to_ns(256);
  in(0x42);
  CHECK(in(0x42) == 0xFE);
  // pit_shutdown, pit_set_oneshot, pit_next_event; IRQ 0 unmasked
  out(0x43, 0x30); out(0x40, 0); out(0x40, 0);
  out(0x43, 0x38);
  out(0x21, 0xFA);
  if (board.interrupt_pending()) { CHECK(board.acknowledge_interrupt() == 0x30); out(0x20, 0x60); }
  for (const u32 delta : {1000U, 2U, 40'000U}) {
    out(0x40, delta & 0xFF); out(0x40, delta >> 8);
    clock.ns = *board.next_deadline_ns();
    board.advance();
    // mask_and_ack_8259A reads the mask back, masks, and ends the interrupt specifically
    REQUIRE(board.interrupt_pending());
    CHECK(board.acknowledge_interrupt() == 0x30);
    CHECK(in(0x21) == 0xFA);
    out(0x21, 0xFB); out(0x20, 0x60);
    out(0x21, 0xFA);
    CHECK_FALSE(board.interrupt_pending());
    CHECK_FALSE(board.next_deadline_ns());
  }
  // 8250 autoconfig
  out(0x3F9, 0); out(0x80, 0xFF); CHECK((in(0x3F9) & 0x0F) == 0);
  out(0x3F9, 0x0F); out(0x80, 0); CHECK((in(0x3F9) & 0x0F) == 0x0F);
  out(0x3F9, 0);
  out(0x3FC, 0x1A); CHECK((in(0x3FE) & 0xF0) == 0x90);
  out(0x3FC, 0x08);
  out(0x3FB, 0xBF); out(0x3FA, 0); out(0x3FB, 0); out(0x3FA, 0x01);
  CHECK(in(0x3FA) >> 6 == 3);                                   // 16550A
  out(0x3FB, 0x80); CHECK(in(0x3FA) != 0);                      // no EFR: not a 16650
  out(0x3FB, 0xBF); CHECK(in(0x3FA) != 0); out(0x3FB, 0);
  out(0x3FA, 0x21); CHECK(in(0x3FA) >> 5 == 6);                 // no 64-byte FIFO: not a 16750
  out(0x3F9, 0x40); CHECK((in(0x3F9) & 0x40) == 0);             // no UUE: not an XScale
  // startup: the THRE tests of serial8250_do_startup
  out(0x3FA, 0x07); out(0x3FA, 0x00); in(0x3FD); in(0x3F8); in(0x3FA); in(0x3FE);
  out(0x3FB, 0x03); out(0x3FC, 0x08);
  out(0x3F9, 0x02); const u32 first = in(0x3FA);
  out(0x3F9, 0x00); out(0x3F9, 0x02); const u32 second = in(0x3FA); out(0x3F9, 0x00);
  CHECK((first & 1) == 0);
  CHECK((second & 1) == 0);
  out(0x21, 0xEA); out(0x3FA, 0x81); out(0x3FC, 0x0B); out(0x3F9, 0x05);
  for (const char c : std::string{"Linux version"}) { while ((in(0x3FD) & 0x60) != 0x60) {} out(0x3F8, static_cast<u8>(c)); }
  CHECK(events.console == "Linux version");
  CHECK(events.unknown.empty());
  CHECK(board.counters().spurious_interrupts == 0);
  CHECK(board.counters().ports.unknown() == 0);
}

TEST_CASE_METHOD(Fixture, "board: reset stops timers and interrupts, the time of day goes on") {
  init_pic();
  out(0x43, 0x34); out(0x40, 0); out(0x40, 1);
  clock.ns = k_ns_per_second;
  board.advance();
  CHECK(board.interrupt_pending());
  board.reset();
  CHECK_FALSE(board.interrupt_pending());
  CHECK_FALSE(board.next_deadline_ns());
  out(0x70, 0);
  CHECK(in(0x71) == 0x21);  // 1,700,000,001 is 22:13:21
  CHECK((in(0x4D1) & 0x02) != 0);  // the SCI stays level-triggered
}
}  // namespace octavo::devices
