// SPDX-License-Identifier: Apache-2.0
#include "devices/keyboard_controller.hpp"

namespace octavo::devices {
namespace {
constexpr u16 k_data_port = 0x60;
constexpr u8 k_status_full = 0x01, k_status_system = 0x04, k_status_command = 0x08, k_status_unlocked = 0x10,
             k_status_time_out = 0x40;
constexpr u8 k_interrupt = 0x01, k_system = 0x04, k_keyboard_off = 0x10, k_translate = 0x40;  // command byte
constexpr u8 k_output_not_reset = 0x01, k_output_a20 = 0x02, k_output_full = 0x10;             // output port
constexpr u8 k_resend = 0xFE;  // what the controller says for a device that does not answer, with the time-out bit

enum Command : u8 {
  read_command_byte = 0x20, write_command_byte = 0x60, test_aux = 0xA9, self_test = 0xAA, test_keyboard = 0xAB,
  disable_keyboard = 0xAD, enable_keyboard = 0xAE, read_output_port = 0xD0, write_output_port = 0xD1,
  write_keyboard_buffer = 0xD2, write_aux_buffer = 0xD3, write_aux = 0xD4, pulse_first = 0xF0,
};
}  // namespace

void KeyboardController::update() { irq_.set((status_ & k_status_full) != 0 && (command_byte_ & k_interrupt) != 0); }

void KeyboardController::answer(u8 value, u8 status) {
  output_ = value;
  status_ = static_cast<u8>((status_ & ~k_status_time_out) | k_status_full | status);
  update();
}

u32 KeyboardController::read(u16 port, unsigned /*size*/) {
  if (port != k_data_port) return status_ | k_status_unlocked;
  status_ &= static_cast<u8>(~(k_status_full | k_status_time_out));
  update();
  return output_;
}

void KeyboardController::write(u16 port, unsigned /*size*/, u32 value) {
  const u8 byte = static_cast<u8>(value);
  if (port != k_data_port) {
    status_ |= k_status_command;
    return command(byte);
  }
  status_ &= static_cast<u8>(~k_status_command);
  parameter(byte);
}

void KeyboardController::command(u8 value) {
  waiting_ = 0;
  switch (value) {
    case read_command_byte: return answer(command_byte_);
    case self_test:
      status_ |= k_status_system;
      command_byte_ |= k_system;
      return answer(0x55);
    case test_keyboard: return answer(0x00);  // clock and data lines are free
    case test_aux: return answer(0x01);       // clock line stuck: there is no second port
    case disable_keyboard: command_byte_ |= k_keyboard_off; return;
    case enable_keyboard: command_byte_ &= static_cast<u8>(~k_keyboard_off); return;
    case read_output_port:
      return answer(k_output_not_reset | k_output_a20 | ((status_ & k_status_full) != 0 ? k_output_full : 0));
    case write_command_byte:
    case write_output_port:
    case write_keyboard_buffer:
    case write_aux_buffer:
    case write_aux: waiting_ = value; return;
    default:
      if (value >= pulse_first && (value & k_output_not_reset) == 0) events_.reset();
      return;
  }
}

void KeyboardController::parameter(u8 value) {
  const u8 command = waiting_;
  waiting_ = 0;
  switch (command) {
    case write_command_byte:
      command_byte_ = value;
      status_ = static_cast<u8>((status_ & ~k_status_system) | (value & k_system));
      return update();
    case write_output_port:
      if ((value & k_output_not_reset) == 0) events_.reset();
      return;
    case write_keyboard_buffer: return answer(value);
    case write_aux_buffer: return answer(static_cast<u8>(~value));  // not what was sent, so nobody takes it for a loop
    default: return answer(k_resend, k_status_time_out);            // to a device
  }
}

void KeyboardController::reset() {
  output_ = status_ = waiting_ = 0;
  command_byte_ = k_keyboard_off | k_translate;
  update();
}
}  // namespace octavo::devices
