// SPDX-License-Identifier: Apache-2.0
// One counter of an 8254, all six modes, computed instead of counted: it remembers at which tick the counting element was
// loaded and works out count and output for any later tick. Source: Intel 8254 data sheet (231164), section names are quoted.
// Ticks are those of CLK since the clock began; callers pass them in ascending order. Used by Pit alone.
#pragma once
#include <optional>

#include "lib/int.hpp"

namespace octavo::devices {

class PitChannel {
 public:
  /// Lets time pass until tick `now`; returns how often OUT rose since the last call. Every other call wants this first.
  u64 run(i64 now);
  /// A control word with RW != 0: mode, byte order, BCD. Counting stops until a count is written.
  void write_control(u8 control);
  void write_count(u8 byte);
  [[nodiscard]] u8 read();
  void latch_count();
  void latch_status();
  void set_gate(bool high);

  [[nodiscard]] bool gate() const { return gate_; }
  [[nodiscard]] bool output() const;
  /// The next tick, after that of run(), at which OUT rises if nobody writes; nothing when it does not.
  [[nodiscard]] std::optional<i64> next_rise() const;

 private:
  enum class Access : u8 { latch, low, high, both };
  enum class Mode : u8 { interrupt, one_shot, rate, square, strobe, triggered_strobe };

  [[nodiscard]] bool periodic() const { return mode_ == Mode::rate || mode_ == Mode::square; }
  [[nodiscard]] bool strobing() const { return mode_ == Mode::strobe || mode_ == Mode::triggered_strobe; }
  [[nodiscard]] bool triggered() const { return mode_ == Mode::one_shot || mode_ == Mode::triggered_strobe; }
  /// Ticks since the counting element was loaded; negative until the CLK that loads it.
  [[nodiscard]] i64 elapsed() const {
    if (!frozen_) return now_ - start_;
    return held_ >= 0 ? held_ : now_ < start_ ? now_ - start_ : 0;
  }
  [[nodiscard]] bool loading() const { return loaded_ && elapsed() < 0; }
  [[nodiscard]] i64 modulus() const { return bcd_ ? 10'000 : 0x10000; }
  [[nodiscard]] i64 half(i64 count) const { return high_ ? (count + 1) / 2 : count / 2; }
  /// The tick at which OUT rises, modes 0, 1, 4, 5, once loaded.
  [[nodiscard]] i64 rise_tick() const { return start_ + count_ + (strobing() ? 1 : 0); }
  /// Does OUT rise at start_, because a strobe was cut short by a new count?
  [[nodiscard]] bool rises_on_load() const { return strobing() && !out_before_; }
  [[nodiscard]] u16 count() const;  ///< the counting element as it is read, BCD if so programmed
  [[nodiscard]] u8 status() const;
  [[nodiscard]] u64 run_rate();
  [[nodiscard]] u64 run_square();
  void stop();
  void load();  ///< from the count register at the next CLK
  void commit(u16 raw);

  i64 now_ = 0;    ///< tick of the last run()
  i64 start_ = 0;  ///< tick at which the counting element held all of count_ (square: at which this half began)
  i64 held_ = 0;   ///< elapsed ticks while frozen
  i64 count_ = 0;
  i64 register_ = 0;  ///< the count register; 0 = nothing written since the control word
  Mode mode_ = Mode::square;
  Access access_ = Access::both;
  bool bcd_ = false;
  bool gate_ = true;
  bool loaded_ = false;   ///< the counting element counts (or is frozen)
  bool frozen_ = false;   ///< modes 0 and 4 with GATE low
  bool pending_ = false;  ///< the count register waits for the end of a period or for a trigger
  bool fresh_ = false;    ///< the load at start_ brings a count that was not counted before
  bool out_before_ = true;  ///< OUT until the CLK that loads
  bool high_ = true;      ///< square: which half
  u16 stopped_ = 0;       ///< what count() says while not loaded
  u8 low_byte_ = 0;
  bool write_high_ = false, read_high_ = false;  ///< the flip-flops of a two-byte count
  u16 latch_ = 0;
  u8 latched_bytes_ = 0;
  u8 status_ = 0;
  bool status_latched_ = false;
};
}  // namespace octavo::devices
