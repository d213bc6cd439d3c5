// SPDX-License-Identifier: Apache-2.0
// The fixed hardware of ACPI: PM1 event and control registers and the 32-bit power management timer. Source: ACPI 6.4, 4.8.3.
// Always in ACPI mode (SCI_EN reads as one), so the FADT has SMI_CMD = 0. SLP_TYP 5 is S5; other sleeping states do nothing.
#pragma once
#include "devices/device.hpp"

namespace octavo::devices {

/// Ports 0x600 to 0x605 (PM1a_STS, PM1a_EN, PM1a_CNT) and 0x608 to 0x60B (PM_TMR).
class AcpiPm final : public PortDevice {
 public:
  static constexpr u16 k_event_port = 0x600, k_control_port = 0x604, k_timer_port = 0x608;
  static constexpr unsigned k_soft_off = 5;  ///< what \_S5 in the DSDT says

  AcpiPm(const Clock& clock, BoardEvents& events, InterruptLine& sci) : clock_(clock), events_(events), sci_(sci) { reset(); }

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  /// When the timer's highest bit changes, if that interrupts.
  [[nodiscard]] std::optional<u64> next_deadline_ns() const override;
  void advance(u64 now_ns) override;
  void reset() override;

  void press_power_button();

 private:
  void write_byte(u16 port, u8 value);
  void update();

  const Clock& clock_;
  BoardEvents& events_;
  InterruptLine& sci_;
  u16 status_ = 0, enable_ = 0, control_ = 0;
  u64 half_ = 0;  ///< how often the timer's highest bit has changed, as far as status_ knows
};
}  // namespace octavo::devices
