// SPDX-License-Identifier: Apache-2.0
// devices/: virtual devices, each a small class behind the interfaces of this file. A device never touches hardware, never
// allocates, and treats every number that the guest writes as hostile. All calls for one board are made under its domain's
// lock, so devices have no locks of their own. Time is what the Clock says; a device that wants to be called at a time
// says so with next_deadline_ns().
#pragma once
#include <optional>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::devices {

/// The guest's own monotonic time in nanoseconds since its first instruction.
class Clock {
 public:
  [[nodiscard]] virtual u64 now_ns() const = 0;

 protected:
  ~Clock() = default;
};

/// An interrupt wire into an interrupt controller; level, true = asserted.
class InterruptLine {
 public:
  virtual void set(bool asserted) = 0;

 protected:
  ~InterruptLine() = default;
};

/// What a board tells the domain that it is plugged into.
class BoardEvents {
 public:
  virtual void console_output(u8 byte) = 0;          ///< the guest's UART sent a byte
  virtual void power_off() = 0;                      ///< ACPI S5 or the power-off port
  virtual void reset() = 0;                          ///< keyboard controller, port 0xCF9, port 0x92
  virtual void debug_exit(u32 code) = 0;             ///< port 0xF4: 0 = passed
  virtual void unknown_port(u16 port, unsigned size, bool is_write) = 0;

 protected:
  ~BoardEvents() = default;
};

/// Something that answers port accesses. `size` is 1, 2 or 4 bytes; the upper bits of a value beyond size are zero.
class PortDevice {
 public:
  [[nodiscard]] virtual u32 read(u16 port, unsigned size) = 0;
  virtual void write(u16 port, unsigned size, u32 value) = 0;
  /// When advance() wants to be called next, in guest time; nothing if never.
  [[nodiscard]] virtual std::optional<u64> next_deadline_ns() const { return std::nullopt; }
  /// Time is now now_ns; raise what is due.
  virtual void advance(u64 /*now_ns*/) {}
  /// Back to the power-on state.
  virtual void reset() = 0;

 protected:
  ~PortDevice() = default;
};
}  // namespace octavo::devices
