// SPDX-License-Identifier: Apache-2.0
// Plays bytes as a hostile guest on a board and says which invariant broke. Shared by the property test and the fuzzer.
#pragma once
#include <array>
#include <bit>
#include <span>

#include "devices/board.hpp"
#include "tests/unit/devices/fakes.hpp"

namespace octavo::devices::test {

class BoardCheck {
 public:
  /// Null, or the sentence that is not true.
  const char* run(std::span<const u8> input) {
    for (rest_ = input; !rest_.empty();) {
      if (const char* broken = step()) return broken;
    }
    return nullptr;
  }

 private:
  // The ports of all devices, so that few bytes go to nobody.
  static constexpr std::array<u16, 44> k_ports = {
      0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x71, 0x80, 0x92, 0xF4, 0xF7, 0x3F8,
      0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x606, 0x608, 0x60A, 0xCF8, 0xCF9, 0xCFC, 0xFFF, 0xFFFF, 0x1000};

  u8 next() {
    if (rest_.empty()) return 0;
    const u8 byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  u32 next32() {
    u32 value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | next();
    return value;
  }

  const char* step() {
    const u8 choice = next();
    const unsigned size = 1U << (choice >> 4) % 3;
    switch (choice % 16) {
      case 0: case 1: case 2: case 3: {
        const u32 value = board_.read(k_ports[next() % k_ports.size()], size);
        if (size < 4 && (value >> (8 * size)) != 0) return "a read returns no more than its size";
        break;
      }
      case 4: case 5: case 6: case 7: case 8:
        board_.write(k_ports[next() % k_ports.size()], size, size == 1 ? next() : next32());
        break;
      case 9: clock_.ns += next(); break;
      case 10: clock_.ns += next32() >> (next() % 32); break;
      case 11: clock_.ns += u64{next()} << 34; break;  // up to an hour; the input's length bounds the years
      case 12:
        if (const auto deadline = board_.next_deadline_ns(); deadline && *deadline > clock_.ns) clock_.ns = *deadline;
        break;
      case 13: return acknowledge();
      case 14:
        if (board_.console_can_receive()) board_.console_receive(next());
        break;
      case 15:
        if (choice == 0xFF) board_.reset(); else if (choice == 0xEF) board_.press_power_button();
        break;
      default: break;
    }
    if (choice % 3 == 0) {
      board_.advance();
      if (const auto deadline = board_.next_deadline_ns(); deadline && *deadline <= clock_.ns) return "after advance() the deadline is in the future";
    }
    return check_interrupt();
  }

  const char* acknowledge() {
    const bool pending = board_.interrupt_pending();
    const u64 spurious = board_.counters().spurious_interrupts;
    const u8 requests = board_.pic().master().requests();
    board_.acknowledge_interrupt();
    if ((board_.counters().spurious_interrupts == spurious) != pending) return "an acknowledge is spurious exactly when nothing is pending";
    if (!pending && requests != board_.pic().master().requests()) return "a spurious acknowledge takes nothing";
    return check_interrupt();
  }

  const char* check_interrupt() const {
    const PicChip& master = board_.pic().master();
    const PicChip& slave = board_.pic().slave();
    if (!board_.interrupt_pending()) return nullptr;
    const u8 unmasked = master.requests() & static_cast<u8>(~master.mask());
    if (unmasked == 0) return "no interrupt without an unmasked request";
    if (unmasked == 1U << Pic::k_cascade && (slave.requests() & ~slave.mask()) == 0) return "no cascaded interrupt without an unmasked request at the slave";
    return nullptr;
  }

  ManualClock clock_;
  Events events_;
  Board board_{clock_, events_, 1'700'000'000};
  std::span<const u8> rest_;
};
}  // namespace octavo::devices::test
