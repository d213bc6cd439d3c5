// SPDX-License-Identifier: Apache-2.0
#include "devices/system_ports.hpp"

namespace octavo::devices {
namespace {
enum Port : u16 { post = 0x80, control_a = 0x92, debug_exit = 0xF4, reset_control = 0xCF9 };
constexpr u8 k_fast_reset = 0x01, k_a20 = 0x02;          // port 0x92
constexpr u8 k_reset_cpu = 0x04, k_reset_writable = 0x0E;  // port 0xCF9: RCPU resets on its rising edge
constexpr u32 k_ones = 0xFFFF'FFFF;
}  // namespace

u32 SystemPorts::read(u16 port, unsigned size) {
  switch (port) {
    case post: return post_code_;
    case control_a: return control_a_ | k_a20;
    case debug_exit: return 0;
    case reset_control: return size == 1 ? reset_control_ : k_ones;
    default: return k_ones;
  }
}

void SystemPorts::write(u16 port, unsigned size, u32 value) {
  const u8 byte = static_cast<u8>(value);
  switch (port) {
    case post: post_code_ = byte; return;
    case control_a: {
      const bool rises = (byte & ~control_a_ & k_fast_reset) != 0;
      control_a_ = byte;
      if (rises) events_.reset();
      return;
    }
    case debug_exit: events_.debug_exit(value); return;
    case reset_control: {
      if (size != 1) return;  // wider accesses are cycles to the PCI address register
      const bool rises = (byte & ~reset_control_ & k_reset_cpu) != 0;
      reset_control_ = byte & k_reset_writable;
      if (rises) events_.reset();
      return;
    }
    default: return;
  }
}

void SystemPorts::reset() { post_code_ = control_a_ = reset_control_ = 0; }
}  // namespace octavo::devices
