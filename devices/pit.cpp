// SPDX-License-Identifier: Apache-2.0
#include "devices/pit.hpp"

#include "devices/ticks.hpp"

namespace octavo::devices {
namespace {
constexpr u16 k_command = 0x43, k_control_b = 0x61;
constexpr u8 k_gate2 = 0x01, k_control_b_writable = 0x0F, k_refresh_toggle = 0x10, k_output2 = 0x20;
constexpr unsigned k_read_back = 3;                            // counter select 11
constexpr u8 k_no_count = 0x20, k_no_status = 0x10;            // read-back: active low
constexpr u64 k_refresh_ns = 15'085;                           // half a period of the refresh toggle
}  // namespace

Pit::Pit(const Clock& clock, InterruptLine& irq0) : clock_(clock), irq0_(irq0) { reset(); }

void Pit::run(unsigned channel, u64 now_ns) {
  const u64 rises = channels_[channel].run(static_cast<i64>(PitTicks::from_ns(now_ns)));
  if (channel != 0 || rises == 0) return;
  // The wire falls only when the next edge needs it or the guest reprograms: the low half of a period must not take a tick
  // away from a vCPU that was not running.
  irq0_.set(false);
  irq0_.set(true);
  missed_ticks_ += rises - 1;
}

template <class Change>
void Pit::change(unsigned channel, Change&& change) {
  PitChannel& target = channels_[channel];
  const bool before = target.output();
  change(target);
  if (channel != 0 || before == target.output()) return;
  irq0_.set(false);
  if (!before) irq0_.set(true);
}

void Pit::write_command(u8 command, u64 now_ns) {
  const unsigned select = command >> 6;
  if (select == k_read_back) {
    for (unsigned i = 0; i < channels_.size(); ++i) {
      if ((command & (2U << i)) == 0) continue;
      run(i, now_ns);
      if ((command & k_no_count) == 0) channels_[i].latch_count();
      if ((command & k_no_status) == 0) channels_[i].latch_status();
    }
    return;
  }
  run(select, now_ns);
  if ((command & 0x30) == 0) return channels_[select].latch_count();
  change(select, [&](PitChannel& channel) { channel.write_control(command); });
}

void Pit::write_control_b(u8 value, u64 now_ns) {
  control_b_ = value & k_control_b_writable;
  run(2, now_ns);
  channels_[2].set_gate((value & k_gate2) != 0);
}

u32 Pit::read(u16 port, unsigned /*size*/) {
  const u64 now_ns = clock_.now_ns();
  if (port == k_control_b) {
    run(2, now_ns);
    return control_b_ | (now_ns / k_refresh_ns % 2 != 0 ? k_refresh_toggle : 0U) | (channels_[2].output() ? k_output2 : 0U);
  }
  if (port == k_command) return 0xFF;  // "no-operation (3-state)"
  const unsigned channel = port & 3;
  run(channel, now_ns);
  return channels_[channel].read();
}

void Pit::write(u16 port, unsigned /*size*/, u32 value) {
  const u64 now_ns = clock_.now_ns();
  const u8 byte = static_cast<u8>(value);
  if (port == k_control_b) return write_control_b(byte, now_ns);
  if (port == k_command) return write_command(byte, now_ns);
  const unsigned channel = port & 3;
  run(channel, now_ns);
  change(channel, [&](PitChannel& target) { target.write_count(byte); });
}

std::optional<u64> Pit::next_deadline_ns() const {
  const auto rise = channels_[0].next_rise();
  if (!rise) return std::nullopt;
  return PitTicks::to_ns(static_cast<u64>(*rise));
}

void Pit::advance(u64 now_ns) { run(0, now_ns); }

void Pit::reset() {
  const u64 now_ns = clock_.now_ns();
  channels_ = {};
  control_b_ = 0;
  for (unsigned i = 0; i < channels_.size(); ++i) run(i, now_ns);
  channels_[2].set_gate(false);
  irq0_.set(false);
}
}  // namespace octavo::devices
