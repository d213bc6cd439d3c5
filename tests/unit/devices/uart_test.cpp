// SPDX-License-Identifier: Apache-2.0
// The 16550A against National's PC16550D data sheet, section 8.
#include <catch2/catch.hpp>

#include "devices/uart.hpp"
#include "tests/unit/devices/fakes.hpp"

namespace octavo::devices {
namespace {
struct Fixture {
  test::Events events;
  test::Wire irq;
  Uart uart{events, irq};
  void out(u16 reg, u8 value) { uart.write(static_cast<u16>(0x3F8 + reg), 1, value); }
  u8 in(u16 reg) { return static_cast<u8>(uart.read(static_cast<u16>(0x3F8 + reg), 1)); }
  void open() { out(2, 0x01); out(4, 0x0B); }
};
}  // namespace

TEST_CASE_METHOD(Fixture, "UART: sends at once and is always empty") {
  for (const char c : std::string{"octavo"}) {
    CHECK((in(5) & 0x60) == 0x60);
    out(0, static_cast<u8>(c));
  }
  CHECK(events.console == "octavo");
  CHECK(irq.rises == 0);
}

TEST_CASE_METHOD(Fixture, "UART: the divisor hides behind DLAB") {
  out(3, 0x83);
  out(0, 0x0C);
  out(1, 0x01);
  CHECK(in(0) == 0x0C);
  CHECK(in(1) == 0x01);
  out(3, 0x03);
  CHECK(in(1) == 0x00);
  CHECK(events.console.empty());
}

TEST_CASE_METHOD(Fixture, "UART: IER keeps four bits, scratch keeps eight, MCR five") {
  out(1, 0xFF);
  CHECK(in(1) == 0x0F);
  out(7, 0xA5);
  CHECK(in(7) == 0xA5);
  out(4, 0xFF);
  CHECK(in(4) == 0x1F);
}

TEST_CASE_METHOD(Fixture, "UART: IIR tells the FIFOs as FCR sets them") {
  CHECK(in(2) == 0x01);
  out(2, 0x01);
  CHECK(in(2) == 0xC1);
  out(2, 0x00);
  CHECK(in(2) == 0x01);
}

TEST_CASE_METHOD(Fixture, "UART: THRE interrupts when enabled, is cleared by reading IIR, comes again after sending") {
  open();
  out(1, 0x02);
  CHECK(irq.level);
  CHECK(in(2) == 0xC2);
  CHECK_FALSE(irq.level);
  CHECK(in(2) == 0xC1);
  out(1, 0x02);  // no new enabling edge
  CHECK(in(2) == 0xC1);
  out(0, 'x');
  CHECK(irq.level);
  const unsigned rises = irq.rises;
  out(0, 'y');
  CHECK(irq.rises == rises + 1);
  out(1, 0x00);
  CHECK_FALSE(irq.level);
  out(1, 0x02);
  CHECK(in(2) == 0xC2);
}

TEST_CASE_METHOD(Fixture, "UART: receives through the FIFO in order, trigger level and time-out") {
  open();
  out(2, 0x41);  // trigger 4
  out(1, 0x01);
  uart.receive('a');
  CHECK(irq.level);
  CHECK(in(2) == 0xCC);
  for (const char c : {'b', 'c', 'd'}) uart.receive(static_cast<u8>(c));
  CHECK(in(2) == 0xC4);
  for (const char c : {'a', 'b', 'c', 'd'}) {
    CHECK((in(5) & 0x01) == 0x01);
    CHECK(in(0) == c);
  }
  CHECK((in(5) & 0x01) == 0);
  CHECK_FALSE(irq.level);
  CHECK(in(2) == 0xC1);
}

TEST_CASE_METHOD(Fixture, "UART: room for 16 with FIFO, for 1 without, overrun is told once") {
  const bool fifo = GENERATE(true, false);
  out(2, fifo ? 0x01 : 0x00);
  out(4, 0x08);
  out(1, 0x04);
  const unsigned capacity = fifo ? 16 : 1;
  for (unsigned i = 0; i < capacity; ++i) {
    REQUIRE(uart.can_receive());
    uart.receive(static_cast<u8>(i));
  }
  CHECK_FALSE(uart.can_receive());
  CHECK_FALSE(irq.level);
  uart.receive(0x77);
  CHECK((in(2) & 0x0F) == 0x06);
  CHECK((in(5) & 0x03) == 0x03);
  CHECK_FALSE(irq.level);
  CHECK((in(5) & 0x03) == 0x01);
  CHECK(in(0) == (fifo ? 0 : 0x77));  // FIFO: the new byte is lost; without: the old one
}

TEST_CASE_METHOD(Fixture, "UART: FCR empties the receiver") {
  out(2, 0x01);
  uart.receive('x');
  out(2, 0x03);
  CHECK((in(5) & 1) == 0);
  uart.receive('y');
  out(2, 0x00);
  CHECK((in(5) & 1) == 0);
}

TEST_CASE_METHOD(Fixture, "UART: priorities of the interrupt sources") {
  open();
  out(4, 0x18);
  out(4, 0x08);  // modem deltas
  out(1, 0x0F);
  for (unsigned i = 0; i < 17; ++i) uart.receive('z');
  CHECK(in(2) == 0xC6);
  CHECK(in(5) != 0);
  CHECK(in(2) == 0xC4);
  out(2, 0x03);
  CHECK(in(2) == 0xC2);
  CHECK(in(2) == 0xC0);
  CHECK((in(6) & 0x0F) != 0);
  CHECK(in(2) == 0xC1);
}

TEST_CASE_METHOD(Fixture, "UART: loopback") {
  CHECK(in(6) == 0xB0);
  out(4, 0x1A);
  CHECK((in(6) & 0xF0) == 0x90);  // what 8250 drivers look for
  CHECK_FALSE(uart.can_receive());
  out(0, 'L');
  CHECK(in(0) == 'L');
  CHECK(events.console.empty());
  out(4, 0x14);
  CHECK((in(6) & 0xF0) == 0x40);
  out(4, 0x10);
  CHECK((in(6) & 0x04) == 0x04);  // the ring indicator's trailing edge
}

TEST_CASE_METHOD(Fixture, "UART: the interrupt passes through OUT2 only, and not in loopback") {
  out(1, 0x02);
  CHECK_FALSE(irq.level);
  out(4, 0x08);
  CHECK(irq.level);
  out(4, 0x18);
  CHECK_FALSE(irq.level);
  out(4, 0x08);
  uart.reset();
  CHECK_FALSE(irq.level);
}
}  // namespace octavo::devices
