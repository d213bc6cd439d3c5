// SPDX-License-Identifier: Apache-2.0
// An 8042 to which nothing is connected. It passes its self-test and answers every command that an operating system waits for,
// so that a probe finds no keyboard and no mouse without running into a time-out. What it is there for: it resets the machine.
// Source: IBM PS/2 technical reference, "Keyboard and Auxiliary Device Controller". A20 is always on.
#pragma once
#include "devices/device.hpp"

namespace octavo::devices {

/// Ports 0x60 and 0x64.
class KeyboardController final : public PortDevice {
 public:
  KeyboardController(BoardEvents& events, InterruptLine& irq1) : events_(events), irq_(irq1) { reset(); }

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  void reset() override;

 private:
  void command(u8 value);
  void parameter(u8 value);
  void answer(u8 value, u8 status = 0);
  void update();

  BoardEvents& events_;
  InterruptLine& irq_;
  u8 output_ = 0, status_ = 0, command_byte_ = 0;
  u8 waiting_ = 0;  ///< the command whose parameter comes next; 0 = none
};
}  // namespace octavo::devices
