// SPDX-License-Identifier: Apache-2.0
// The 8259 pair against Intel's data sheet (231468); test names quote its sections.
#include <catch2/catch.hpp>

#include "devices/pic.hpp"

namespace octavo::devices {
namespace {

struct Fixture {
  Pic pic;
  void out(u16 port, u8 value) { pic.write(port, 1, value); }
  u8 in(u16 port) { return static_cast<u8>(pic.read(port, 1)); }
  void init(u8 master_icw4 = 0x01, u8 slave_icw4 = 0x01) {
    out(0x20, 0x11); out(0x21, 0x30); out(0x21, 0x04); out(0x21, master_icw4);
    out(0xA0, 0x11); out(0xA1, 0x38); out(0xA1, 0x02); out(0xA1, slave_icw4);
  }
  void raise(unsigned irq) { pic.set_irq(irq, true); }
  void lower(unsigned irq) { pic.set_irq(irq, false); }
  void pulse(unsigned irq) { lower(irq); raise(irq); }
  u8 isr(u16 command = 0x20) { out(command, 0x0B); return in(command); }
  u8 irr(u16 command = 0x20) { out(command, 0x0A); return in(command); }
};
constexpr u8 k_spurious_master = 0x37;
}  // namespace

TEST_CASE_METHOD(Fixture, "PIC: before the ICWs nothing interrupts, but the mask can be probed") {
  raise(0);
  CHECK_FALSE(pic.pending());
  out(0xA1, 0xFF);
  out(0x21, 0xFB);  // Linux' probe_8259A
  CHECK(in(0x21) == 0xFB);
  out(0x21, 0x00);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: ICW1 clears mask and edges, ICW2 sets the base") {
  out(0x21, 0xFF);
  raise(4);
  init();
  CHECK(in(0x21) == 0x00);
  CHECK_FALSE(pic.pending());  // "an input must make a low-to-high transition to generate an interrupt"
  pulse(4);
  REQUIRE(pic.pending());
  CHECK(pic.acknowledge() == 0x34);
}

TEST_CASE_METHOD(Fixture, "PIC: without IC4 and in single mode the ICWs that are not announced are not awaited") {
  out(0x20, 0x12);  // single, no ICW4
  out(0x21, 0x48);
  out(0x21, 0xFE);  // OCW1 already
  CHECK(in(0x21) == 0xFE);
  raise(0);
  CHECK(pic.acknowledge() == 0x48);
  CHECK(isr() == 0x01);  // IC4 = 0: no automatic EOI
}

TEST_CASE_METHOD(Fixture, "PIC: fully nested mode, a higher level interrupts a lower one and not the other way round") {
  init();
  raise(4);
  CHECK(pic.acknowledge() == 0x34);
  raise(6);
  CHECK_FALSE(pic.pending());
  raise(1);
  REQUIRE(pic.pending());
  CHECK(pic.acknowledge() == 0x31);
  CHECK(isr() == 0x12);
  out(0x20, 0x20);  // ends the highest in service
  CHECK(isr() == 0x10);
  CHECK_FALSE(pic.pending());
  out(0x20, 0x20);
  CHECK(isr() == 0x00);
  CHECK(pic.acknowledge() == 0x36);
}

TEST_CASE_METHOD(Fixture, "PIC: the request with the highest priority is acknowledged first") {
  init();
  for (const unsigned irq : {7U, 3U, 5U, 0U}) raise(irq);
  for (const unsigned vector : {0x30U, 0x33U, 0x35U, 0x37U}) {
    CHECK(pic.acknowledge() == vector);
    out(0x20, 0x20);
  }
  CHECK(pic.spurious() == 0);
}

TEST_CASE_METHOD(Fixture, "PIC: OCW1 masks a request without losing it") {
  init();
  out(0x21, 0x10);
  raise(4);
  CHECK_FALSE(pic.pending());
  CHECK(irr() == 0x10);
  out(0x21, 0x00);
  CHECK(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: an edge interrupts once, a level until it falls") {
  init();
  raise(5);
  CHECK(pic.acknowledge() == 0x35);
  out(0x20, 0x65);  // specific EOI
  CHECK_FALSE(pic.pending());
  lower(5);
  out(0x4D0, 0x20);
  raise(5);
  CHECK(pic.acknowledge() == 0x35);
  CHECK_FALSE(pic.pending());
  out(0x20, 0x65);
  CHECK(pic.pending());
  lower(5);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: ELCR cannot make timer, keyboard, cascade, clock and coprocessor level-triggered") {
  out(0x4D0, 0xFF);
  out(0x4D1, 0xFF);
  CHECK(in(0x4D0) == 0xF8);
  CHECK(in(0x4D1) == 0xDE);
}

TEST_CASE_METHOD(Fixture, "PIC: default IR7, a request that falls before INTA is spurious and leaves no ISR bit") {
  init();
  raise(3);
  lower(3);
  CHECK_FALSE(pic.pending());
  CHECK(pic.acknowledge() == k_spurious_master);
  CHECK(isr() == 0x00);
  CHECK(pic.spurious() == 1);
}

TEST_CASE_METHOD(Fixture, "PIC: cascade, the slave's vector and an ISR bit in both chips") {
  init();
  raise(12);
  REQUIRE(pic.pending());
  CHECK(irr() == 0x04);
  CHECK(pic.acknowledge() == 0x3C);
  CHECK(isr() == 0x04);
  CHECK(isr(0xA0) == 0x10);
  raise(3);
  CHECK_FALSE(pic.pending());  // input 3 is below input 2
  out(0xA0, 0x20);
  CHECK_FALSE(pic.pending());
  out(0x20, 0x20);
  CHECK(pic.acknowledge() == 0x33);
}

TEST_CASE_METHOD(Fixture, "PIC: the next slave request reaches the master after the EOIs, in either order") {
  const bool slave_first = GENERATE(true, false);
  init();
  raise(14);
  raise(15);
  CHECK(pic.acknowledge() == 0x3E);
  out(slave_first ? 0xA0 : 0x20, 0x20);
  CHECK_FALSE(pic.pending());
  out(slave_first ? 0x20 : 0xA0, 0x20);
  REQUIRE(pic.pending());
  CHECK(pic.acknowledge() == 0x3F);
}

TEST_CASE_METHOD(Fixture, "PIC: under automatic EOI the slave's second request makes a new edge on the master") {
  init(0x03, 0x03);
  raise(9);
  raise(10);
  CHECK(pic.acknowledge() == 0x39);
  REQUIRE(pic.pending());
  CHECK(pic.acknowledge() == 0x3A);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: a slave request that is masked before INTA ends as the master's default IR7") {
  init();
  raise(10);
  out(0xA1, 0xFF);
  CHECK_FALSE(pic.pending());
  CHECK(pic.acknowledge() == k_spurious_master);
  CHECK(isr() == 0);
  CHECK(isr(0xA0) == 0);
}

TEST_CASE("PIC: a chip asked without a request says its input 7 and serves nothing") {
  PicChip slave{PicChip::Role::slave};
  slave.write(0, 0x11);
  for (const u8 icw : {u8{0x38}, u8{0x02}, u8{0x01}}) slave.write(1, icw);
  CHECK(slave.acknowledge(slave.request()) == 0x3F);
  CHECK(slave.in_service() == 0);
}

TEST_CASE_METHOD(Fixture, "PIC: special fully nested mode lets a higher slave request through") {
  const bool special = GENERATE(false, true);
  init(special ? 0x11 : 0x01);
  raise(12);
  CHECK(pic.acknowledge() == 0x3C);
  raise(8);
  CHECK(pic.pending() == special);
  if (!special) return;
  CHECK(pic.acknowledge() == 0x38);
  raise(13);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: automatic EOI leaves nothing in service") {
  init(0x03);
  raise(2 + 1);
  CHECK(pic.acknowledge() == 0x33);
  CHECK(isr() == 0x00);
  raise(6);
  CHECK(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: rotate on non-specific EOI makes the served input the lowest") {
  init();
  raise(4);
  CHECK(pic.acknowledge() == 0x34);
  out(0x20, 0xA0);
  pulse(4);
  raise(5);
  CHECK(pic.acknowledge() == 0x35);
}

TEST_CASE_METHOD(Fixture, "PIC: rotate in automatic EOI mode, set and cleared") {
  init(0x03);
  out(0x20, 0x80);
  raise(3);
  CHECK(pic.acknowledge() == 0x33);
  pulse(3);
  raise(6);
  CHECK(pic.acknowledge() == 0x36);
  out(0x20, 0x00);
  CHECK(pic.acknowledge() == 0x33);
  pulse(3);
  raise(7);
  CHECK(pic.acknowledge() == 0x37);  // 6 is still the lowest, so 7 is the highest
}

TEST_CASE_METHOD(Fixture, "PIC: set priority, and rotate on specific EOI") {
  init();
  out(0x20, 0xC5);  // 5 lowest, 6 highest
  raise(5);
  raise(6);
  raise(0);
  CHECK(pic.acknowledge() == 0x36);
  out(0x20, 0xE6);  // ends 6, 6 lowest
  CHECK(isr() == 0x00);
  CHECK(pic.acknowledge() == 0x30);
  out(0x20, 0x40);  // no operation
  CHECK(isr() == 0x01);
}

TEST_CASE_METHOD(Fixture, "PIC: special mask mode enables all other levels while one is in service") {
  init();
  raise(2 + 1);
  CHECK(pic.acknowledge() == 0x33);
  raise(6);
  out(0x21, 0x08);
  CHECK_FALSE(pic.pending());
  out(0x20, 0x68);  // set
  REQUIRE(pic.pending());
  CHECK(pic.acknowledge() == 0x36);
  out(0x20, 0x20);  // "a masked ISR bit is not cleared by a non-specific EOI in special mask mode"
  CHECK(isr() == 0x08);
  out(0x20, 0x48);  // reset
  raise(7);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: the poll command acknowledges on the next read") {
  init();
  out(0x20, 0x0C);
  CHECK(in(0x20) == 0x00);
  raise(5);
  out(0x20, 0x0C);
  CHECK(in(0x21) == 0x85);  // at either address
  CHECK(isr() == 0x20);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: polling the slave takes the cascade's request back") {
  init();
  raise(11);
  CHECK(pic.pending());
  out(0xA0, 0x0C);
  CHECK(in(0xA0) == 0x83);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: OCW3 keeps its register selection, ICW1 sets it back to IRR") {
  init();
  raise(6);
  CHECK(pic.acknowledge() == 0x36);
  raise(7);
  out(0x20, 0x0B);
  CHECK(in(0x20) == 0x40);
  out(0x20, 0x08);  // RR = 0
  CHECK(in(0x20) == 0x40);
  out(0x20, 0x11);
  raise(1);
  CHECK(in(0x20) == 0x02);
}

TEST_CASE_METHOD(Fixture, "PIC: nobody drives input 2 but the slave") {
  init();
  raise(2);
  CHECK_FALSE(pic.pending());
}

TEST_CASE_METHOD(Fixture, "PIC: reset keeps the levels of the wires, not their edges") {
  init();
  out(0x4D1, 0x02);
  raise(9);
  raise(4);
  pic.reset();
  CHECK_FALSE(pic.pending());
  init();
  CHECK_FALSE(pic.pending());
  out(0x4D1, 0x02);
  CHECK(pic.acknowledge() == 0x39);
}
}  // namespace octavo::devices
