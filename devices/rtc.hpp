// SPDX-License-Identifier: Apache-2.0
// The MC146818A real-time clock and its CMOS memory. The time of day is computed from the Clock; registers become bytes only when
// they are read, or while the guest has stopped the clock (SET, or the divider in reset). Source: MC146818A data sheet
// (registers A to D, "Update Cycle", "Interrupts"); the century in byte 0x32 as PCs have it. The day of the week follows from the
// date, what is written to it is forgotten when the clock goes on.
#pragma once
#include <array>

#include "devices/device.hpp"

namespace octavo::devices {

/// Ports 0x70 (index; bit 7, the NMI mask, is ignored) and 0x71 (data).
class Rtc final : public PortDevice {
 public:
  /// The clock reads start_unix_seconds (UTC; at most the end of the year 9999) when `clock` reads 0.
  Rtc(const Clock& clock, InterruptLine& irq8, u64 start_unix_seconds);

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  [[nodiscard]] std::optional<u64> next_deadline_ns() const override;
  void advance(u64 now_ns) override;
  /// The RESET pin: interrupts off. Time, memory and the formats are on the battery.
  void reset() override;

 private:
  [[nodiscard]] bool divider_reset() const;
  [[nodiscard]] bool stopped() const;
  [[nodiscard]] u64 since_epoch(u64 now_ns) const { return static_cast<u64>(static_cast<i64>(now_ns) - epoch_ns_); }
  [[nodiscard]] i64 second_at(u64 now_ns) const;
  [[nodiscard]] u64 period_ticks() const;
  [[nodiscard]] u64 periods_at(u64 now_ns) const;
  [[nodiscard]] u8 encode(i64 value) const;
  [[nodiscard]] i64 decode(u8 value) const;
  [[nodiscard]] u8 encode_hour(i64 hour) const;
  [[nodiscard]] i64 decode_hour(u8 value) const;
  void store_time(i64 second);
  [[nodiscard]] i64 load_time() const;
  [[nodiscard]] bool alarm_matches(unsigned index, u8 now) const;
  [[nodiscard]] std::optional<i64> find_alarm(i64 after) const;
  void set_time(u64 now_ns);
  void write_register(u8 index, u8 value, u64 now_ns);
  void write_control(u8 index, u8 value, u64 now_ns);
  [[nodiscard]] u8 read_register(u8 index, u64 now_ns);
  void update();

  const Clock& clock_;
  InterruptLine& irq_;
  i64 epoch_ns_ = 0;     ///< when the divider chain began; seconds and periods count from here
  i64 base_second_ = 0;  ///< Unix time at epoch_ns_
  i64 seen_second_ = 0;
  u64 seen_periods_ = 0;
  std::optional<i64> next_alarm_;
  u8 index_ = 0;
  std::array<u8, 128> memory_{};
};
}  // namespace octavo::devices
