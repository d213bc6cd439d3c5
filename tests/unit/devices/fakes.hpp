// SPDX-License-Identifier: Apache-2.0
// What a device is plugged into when no domain is there: a clock that the test sets, wires and events that remember.
#pragma once
#include <string>
#include <vector>

#include "devices/device.hpp"

namespace octavo::devices::test {

struct ManualClock final : Clock {
  u64 ns = 0;
  [[nodiscard]] u64 now_ns() const override { return ns; }
};

struct Wire final : InterruptLine {
  bool level = false;
  unsigned rises = 0;
  void set(bool asserted) override {
    if (asserted && !level) ++rises;
    level = asserted;
  }
};

struct Events final : BoardEvents {
  struct Unknown {
    u16 port;
    unsigned size;
    bool is_write;
    bool operator==(const Unknown&) const = default;
  };
  std::string console;
  unsigned power_offs = 0, resets = 0;
  std::vector<u32> exits;
  std::vector<Unknown> unknown;

  void console_output(u8 byte) override { console.push_back(static_cast<char>(byte)); }
  void power_off() override { ++power_offs; }
  void reset() override { ++resets; }
  void debug_exit(u32 code) override { exits.push_back(code); }
  void unknown_port(u16 port, unsigned size, bool is_write) override { unknown.push_back({port, size, is_write}); }
};
}  // namespace octavo::devices::test
