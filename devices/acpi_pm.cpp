// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_pm.hpp"

#include "devices/ticks.hpp"

namespace octavo::devices {
namespace {
constexpr u16 k_timer_status = 0x0001, k_power_button = 0x0100;
constexpr u16 k_enable_writable = 0x0721;                          // TMR, GBL, PWRBTN, SLPBTN, RTC (table 4.11)
constexpr u16 k_sci_enabled = 0x0001, k_control_writable = 0x1C02;  // BM_RLD, SLP_TYP (table 4.12)
constexpr u8 k_sleep_enable_high = 0x20;                           // SLP_EN, in the register's upper byte
constexpr unsigned k_highest_bit = 31;
}  // namespace

void AcpiPm::update() { sci_.set((status_ & enable_) != 0); }

u32 AcpiPm::read(u16 port, unsigned /*size*/) {
  const u64 now_ns = clock_.now_ns();
  if (port >= k_timer_port) return static_cast<u32>(PmTicks::from_ns(now_ns)) >> (8 * (port & 3U));
  advance(now_ns);
  const u64 registers = status_ | u64{enable_} << 16 | u64{control_ | u32{k_sci_enabled}} << 32;
  return static_cast<u32>(registers >> (8 * (port - k_event_port)));
}

void AcpiPm::write(u16 port, unsigned size, u32 value) {
  advance(clock_.now_ns());
  for (unsigned i = 0; i < size; ++i) write_byte(static_cast<u16>(port + i), static_cast<u8>(value >> (8 * i)));
  update();
}

void AcpiPm::write_byte(u16 port, u8 value) {
  const unsigned shift = (port & 1U) * 8;
  const auto moved = static_cast<u16>(value << shift);
  const auto lane = static_cast<u16>(0xFF << shift);
  switch (port & ~1U) {
    case k_event_port: status_ &= static_cast<u16>(~moved); return;  // write one to clear
    case k_event_port + 2: enable_ = static_cast<u16>((enable_ & ~lane) | (moved & k_enable_writable)); return;
    case k_control_port:
      control_ = static_cast<u16>((control_ & ~lane) | (moved & k_control_writable));
      if (shift != 0 && (value & k_sleep_enable_high) != 0 && (control_ >> 10 & 7) == k_soft_off) events_.power_off();
      return;
    default: return;  // the timer cannot be written
  }
}

std::optional<u64> AcpiPm::next_deadline_ns() const {
  if ((enable_ & ~status_ & k_timer_status) == 0) return std::nullopt;
  return PmTicks::to_ns((half_ + 1) << k_highest_bit);
}

void AcpiPm::advance(u64 now_ns) {
  const u64 half = PmTicks::from_ns(now_ns) >> k_highest_bit;
  if (half == half_) return;
  half_ = half;
  status_ |= k_timer_status;
  update();
}

void AcpiPm::press_power_button() {
  status_ |= k_power_button;
  update();
}

void AcpiPm::reset() {
  status_ = enable_ = control_ = 0;
  half_ = PmTicks::from_ns(clock_.now_ns()) >> k_highest_bit;
  update();
}
}  // namespace octavo::devices
