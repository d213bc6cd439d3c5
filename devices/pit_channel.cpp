// SPDX-License-Identifier: Apache-2.0
#include "devices/pit_channel.hpp"

namespace octavo::devices {
namespace {
constexpr i64 from_bcd(u16 raw) {
  return (raw & 15) + 10 * ((raw >> 4) & 15) + 100 * ((raw >> 8) & 15) + 1000 * ((raw >> 12) & 15);
}
constexpr u16 to_bcd(i64 value) {
  return static_cast<u16>(value % 10 | (value / 10 % 10) << 4 | (value / 100 % 10) << 8 | (value / 1000 % 10) << 12);
}
constexpr u8 low(u16 value) { return static_cast<u8>(value); }
constexpr u8 high(u16 value) { return static_cast<u8>(value >> 8); }
}  // namespace

u64 PitChannel::run(i64 now) {
  const i64 before = now_;
  now_ = now;
  if (!loaded_ || frozen_) return 0;
  if (mode_ == Mode::rate) return run_rate();
  if (mode_ == Mode::square) return run_square();
  const auto passed = [&](i64 tick) { return before < tick && tick <= now; };
  return (passed(rise_tick()) ? 1U : 0U) + (rises_on_load() && passed(start_) ? 1U : 0U);
}

// Mode 2: OUT is low for the last tick of a period and rises when the counter is loaded again.
u64 PitChannel::run_rate() {
  u64 rises = 0;
  if (pending_ && now_ >= start_ + count_) {  // a new count begins with the next period
    start_ += count_;
    count_ = register_;
    pending_ = false;
    rises = 1;
  }
  if (now_ >= start_ + count_) {
    const i64 periods = (now_ - start_) / count_;
    start_ += periods * count_;
    rises += static_cast<u64>(periods);
  }
  return rises;
}

// Mode 3: high for (N + 1) / 2, low for N / 2; a new count begins with the next half.
u64 PitChannel::run_square() {
  u64 rises = 0;
  while (now_ >= start_ + half(count_)) {
    start_ += half(count_);
    high_ = !high_;
    if (high_) ++rises;
    if (pending_) {
      count_ = register_;
      pending_ = false;
    }
    const i64 periods = (now_ - start_) / count_;  // whole periods leave the half as it is
    start_ += periods * count_;
    rises += static_cast<u64>(periods);
  }
  return rises;
}

std::optional<i64> PitChannel::next_rise() const {
  if (!loaded_ || frozen_) return std::nullopt;
  if (mode_ == Mode::rate) return start_ + count_;
  if (mode_ == Mode::square) {
    const i64 end = start_ + half(count_);
    return high_ ? end + (pending_ ? register_ : count_) / 2 : end;
  }
  if (rises_on_load() && start_ > now_) return start_;
  if (rise_tick() <= now_) return std::nullopt;
  return rise_tick();
}

bool PitChannel::output() const {
  if (!loaded_) return mode_ != Mode::interrupt;
  const i64 e = elapsed();
  if (e < 0) return out_before_;
  switch (mode_) {
    case Mode::interrupt:
    case Mode::one_shot: return e >= count_;
    case Mode::rate: return e != count_ - 1;
    case Mode::square: return high_;
    case Mode::strobe:
    case Mode::triggered_strobe: return e != count_;
  }
  return true;
}

u16 PitChannel::count() const {
  const i64 e = elapsed();
  if (!loaded_ || e < 0) return stopped_;
  i64 value = count_ - e;
  if (mode_ == Mode::square) value = (count_ & ~i64{1}) - 2 * e;  // "decremented by two", odd counts begin one lower
  value %= modulus();                                             // "wraps around to the highest count"
  if (value < 0) value += modulus();
  return bcd_ ? to_bcd(value) : static_cast<u16>(value);
}

u8 PitChannel::status() const {
  const bool null_count = register_ == 0 || pending_ || (fresh_ && loading());
  return static_cast<u8>((output() ? 0x80 : 0) | (null_count ? 0x40 : 0) | static_cast<unsigned>(access_) << 4 |
                         static_cast<unsigned>(mode_) << 1 | (bcd_ ? 1 : 0));
}

void PitChannel::stop() {
  stopped_ = count();
  loaded_ = false;
  frozen_ = false;
}

void PitChannel::load() {
  stopped_ = count();
  out_before_ = mode_ != Mode::interrupt && output();
  fresh_ = pending_ || (fresh_ && loading());
  count_ = register_;
  start_ = now_ + 1;
  loaded_ = true;
  frozen_ = false;
  pending_ = false;
  high_ = true;
}

void PitChannel::write_control(u8 control) {
  stop();
  const unsigned mode = (control >> 1) & 7;
  mode_ = static_cast<Mode>(mode > 5 ? mode - 4 : mode);  // the upper mode bit is "don't care" for modes 2 and 3
  access_ = static_cast<Access>((control >> 4) & 3);
  bcd_ = (control & 1) != 0;
  register_ = 0;
  pending_ = false;
  write_high_ = read_high_ = false;
  latched_bytes_ = 0;
  status_latched_ = false;
}

void PitChannel::write_count(u8 byte) {
  switch (access_) {
    case Access::low: return commit(byte);
    case Access::high: return commit(static_cast<u16>(byte << 8));
    default: break;
  }
  if (!write_high_) {
    low_byte_ = byte;
    write_high_ = true;
    if (mode_ == Mode::interrupt) stop();  // "writing the first byte disables counting, OUT is set low immediately"
    return;
  }
  write_high_ = false;
  commit(static_cast<u16>(low_byte_ | byte << 8));
}

void PitChannel::commit(u16 raw) {
  register_ = bcd_ ? from_bcd(raw) : raw;
  if (register_ == 0) register_ = modulus();
  // A count of 1 is illegal in modes 2 and 3; taken as 2, so that a period has a low and a high tick.
  if (periodic() && register_ == 1) register_ = 2;
  pending_ = true;
  // Modes 1 and 5 wait for a trigger, modes 2 and 3 for the end of what runs or for GATE.
  // What has yet to be loaded is loaded with the newer count.
  if (!loading() && (triggered() || (periodic() && (!gate_ || loaded_)))) return;
  load();
  if (!gate_ && !triggered()) {  // modes 0 and 4 load all the same, but do not count
    held_ = elapsed();
    frozen_ = true;
  }
}

void PitChannel::set_gate(bool high) {
  if (high == gate_) return;
  gate_ = high;
  if (triggered()) {
    if (high && register_ != 0) load();
  } else if (periodic()) {  // low: OUT high at once; the rising edge reloads
    if (high) {
      if (register_ != 0) load();
    } else if (loaded_) {
      pending_ |= fresh_ && loading();
      stop();
    }
  } else if (loaded_ && !high) {
    held_ = elapsed();
    frozen_ = true;
  } else if (loaded_) {
    start_ = now_ - elapsed();
    frozen_ = false;
  }
}

void PitChannel::latch_count() {
  if (latched_bytes_ != 0) return;  // "ignored until the latched count is read"
  latch_ = count();
  latched_bytes_ = access_ == Access::both ? 2 : 1;
}

void PitChannel::latch_status() {
  if (status_latched_) return;
  status_ = status();
  status_latched_ = true;
}

u8 PitChannel::read() {
  if (status_latched_) {  // status first, whichever was latched first
    status_latched_ = false;
    return status_;
  }
  u16 value = count();
  bool upper = access_ == Access::high;
  if (latched_bytes_ != 0) {
    value = latch_;
    if (access_ == Access::both) upper = latched_bytes_ == 1;
    --latched_bytes_;
  } else if (access_ == Access::both) {
    upper = read_high_;
    read_high_ = !read_high_;
  }
  return upper ? high(value) : low(value);
}
}  // namespace octavo::devices
