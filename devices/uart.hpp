// SPDX-License-Identifier: Apache-2.0
// A 16550A UART. Source: National PC16550D data sheet, section 8. The line is infinitely fast: what is sent has left before the
// next access, so LSR.THRE and LSR.TEMT are always set. The character time-out comes at once. INTR reaches the interrupt
// controller through OUT2, as on a PC's board. Never breaks, never has framing or parity errors.
#pragma once
#include <array>

#include "devices/device.hpp"

namespace octavo::devices {

/// Eight ports; the lowest three address bits choose the register.
class Uart final : public PortDevice {
 public:
  Uart(BoardEvents& events, InterruptLine& irq) : events_(events), irq_(irq) { reset(); }

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  void reset() override;

  /// Would receive() find room? False in loopback, where the input is disconnected.
  [[nodiscard]] bool can_receive() const { return !loopback() && used_ < capacity(); }
  /// A byte arrives on the line. Without room it is an overrun, as on the chip.
  void receive(u8 byte);

 private:
  static constexpr unsigned k_fifo_size = 16;
  enum class Interrupt : u8 { modem = 0x0, none = 0x1, transmitter = 0x2, received = 0x4, line = 0x6, time_out = 0xC };

  [[nodiscard]] bool loopback() const;
  [[nodiscard]] bool divisor_access() const;
  [[nodiscard]] unsigned capacity() const { return fifo_enabled_ ? k_fifo_size : 1; }
  [[nodiscard]] Interrupt interrupt() const;
  [[nodiscard]] u8 take_received();
  [[nodiscard]] u8 identify();
  void push(u8 byte);
  void transmit(u8 byte);
  void enable_interrupts(u8 value);
  void control_fifo(u8 value);
  void control_modem(u8 value);
  void update_modem_status();
  void update();

  BoardEvents& events_;
  InterruptLine& irq_;
  std::array<u8, k_fifo_size> fifo_{};
  unsigned head_ = 0, used_ = 0;
  u8 ier_ = 0, lcr_ = 0, mcr_ = 0, msr_ = 0, scratch_ = 0, trigger_ = 1;
  u16 divisor_ = 0;
  bool fifo_enabled_ = false, overrun_ = false, asserted_ = false;
  bool transmitter_pending_ = false;  ///< THRE interrupt: set on emptying or enabling, cleared by reading it in IIR
};
}  // namespace octavo::devices
