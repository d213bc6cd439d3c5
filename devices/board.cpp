// SPDX-License-Identifier: Apache-2.0
#include "devices/board.hpp"

namespace octavo::devices {
namespace {
constexpr unsigned k_sci = 9;
constexpr std::optional<u64> earlier(std::optional<u64> a, std::optional<u64> b) { return !a || (b && *b < *a) ? b : a; }
}  // namespace

Board::Board(const Clock& clock, BoardEvents& events, u64 rtc_start_unix_seconds)
    : clock_(clock), bus_(events), pit_(clock, timer_irq_), uart_(events, serial_irq_), keyboard_(events, keyboard_irq_),
      rtc_(clock, rtc_irq_, rtc_start_unix_seconds), acpi_pm_(clock, events, sci_irq_), system_(events) {
  // In the order of Device; slot 0 is nobody.
  bus_.attach(pic_, PortWidth::byte, PortTimed::no, {{0x20, 2}, {0xA0, 2}, {0x4D0, 2}});
  bus_.attach(pit_, PortWidth::byte, PortTimed::yes, {{0x40, 4}, {0x61, 1}});
  bus_.attach(uart_, PortWidth::byte, PortTimed::no, {{0x3F8, 8}});
  bus_.attach(keyboard_, PortWidth::byte, PortTimed::no, {{0x60, 1}, {0x64, 1}});
  bus_.attach(rtc_, PortWidth::byte, PortTimed::yes, {{0x70, 2}});
  bus_.attach(acpi_pm_, PortWidth::wide, PortTimed::yes,
              {{AcpiPm::k_event_port, 4}, {AcpiPm::k_control_port, 2}, {AcpiPm::k_timer_port, 4}});
  bus_.attach(system_, PortWidth::wide, PortTimed::no, {{0x80, 1}, {0x92, 1}, {0xF4, 4}, {0xCF8, 8}});
  settle_after_reset();
}

std::optional<u64> Board::next_deadline_ns() const {
  if (deadline_changed()) [[unlikely]] {
    deadline_ = earlier(pit_.next_deadline_ns(), earlier(rtc_.next_deadline_ns(), acpi_pm_.next_deadline_ns()));
    deadline_accesses_ = bus_.timed_accesses();
  }
  return deadline_;
}

void Board::advance() {
  const u64 now_ns = clock_.now_ns();
  pit_.advance(now_ns);
  rtc_.advance(now_ns);
  acpi_pm_.advance(now_ns);
  deadline_accesses_ = k_stale;
}

void Board::reset() {
  for (PortDevice* device : {static_cast<PortDevice*>(&pic_), static_cast<PortDevice*>(&pit_), static_cast<PortDevice*>(&uart_),
                             static_cast<PortDevice*>(&keyboard_), static_cast<PortDevice*>(&rtc_),
                             static_cast<PortDevice*>(&acpi_pm_), static_cast<PortDevice*>(&system_)}) {
    device->reset();
  }
  settle_after_reset();
}

// What firmware would have done: the SCI is level-triggered (ACPI 6.4, 5.2.9, SCI_INT).
void Board::settle_after_reset() {
  pic_.set_level_triggered(k_sci);
  deadline_accesses_ = k_stale;
}
}  // namespace octavo::devices
