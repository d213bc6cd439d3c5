// SPDX-License-Identifier: Apache-2.0
// The 8254 timer of a PC and system control port B: channel 0 is IRQ 0, channel 1 the refresh request, channel 2 the speaker.
// Source: Intel 8254 data sheet (231164); port 0x61: 82371SB (PIIX3) 2.5.4.1. Ticks that a paused guest missed are not made up
// for: one interrupt stands for all of them and missed_ticks() counts the others.
#pragma once
#include <array>

#include "devices/device.hpp"
#include "devices/pit_channel.hpp"

namespace octavo::devices {

/// Ports 0x40 to 0x43 and 0x61.
class Pit final : public PortDevice {
 public:
  Pit(const Clock& clock, InterruptLine& irq0);

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  /// When OUT of channel 0 rises next. Falling edges interrupt nobody, so they are no reason to wake up.
  [[nodiscard]] std::optional<u64> next_deadline_ns() const override;
  void advance(u64 now_ns) override;
  void reset() override;

  [[nodiscard]] u64 missed_ticks() const { return missed_ticks_; }

 private:
  void run(unsigned channel, u64 now_ns);
  void write_command(u8 command, u64 now_ns);
  void write_control_b(u8 value, u64 now_ns);
  /// Makes a change of channel 0 by the guest, and passes what it does to OUT on to IRQ 0.
  template <class Change>
  void change(unsigned channel, Change&& change);

  const Clock& clock_;
  InterruptLine& irq0_;
  std::array<PitChannel, 3> channels_{};
  u8 control_b_ = 0;
  u64 missed_ticks_ = 0;
};
}  // namespace octavo::devices
