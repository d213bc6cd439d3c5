// SPDX-License-Identifier: Apache-2.0
// A 16550 serial port at 115200 8N1. put() is polled with a bound, so a port that dies costs time once and is then left
// alone; offer() never waits. Received bytes go into a ring, by interrupt or by poll(). Callers serialize sending.
#pragma once
#include <string_view>

#include "arch/x86/byte_ring.hpp"

namespace octavo::arch {
class Uart {
 public:
  constexpr Uart(u16 base, u8 irq) : base_(base), irq_(irq) {}
  /// False: there is no chip at this address, and the object stays silent.
  bool initialize();
  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] u8 irq() const { return irq_; }

  void put(u8 byte);
  /// Sends what fits into the transmitter now; returns how many bytes that was. If it was not all of them and interrupts are in
  /// use, one comes when the transmitter is empty again.
  usize offer(std::string_view bytes);
  /// Waits until the last stop bit has left the chip.
  void drain();

  void enable_interrupts();
  [[nodiscard]] bool uses_interrupts() const { return interrupts_; }
  /// The interrupt handler.
  void interrupt();
  /// Moves what has arrived into the ring.
  void poll();
  /// poll(), if no interrupt does it.
  void poll_unless_interrupts() { if (!interrupts_) poll(); }
  [[nodiscard]] std::optional<u8> read();

 private:
  enum Register : u16 { data = 0, interrupt_enable = 1, interrupt_identification = 2, fifo_control = 2, line_control = 3, modem_control = 4, line_status = 5, scratch = 7 };
  void write_register(Register reg, u8 value);
  [[nodiscard]] u8 read_register(Register reg) const;
  void want_transmit_interrupt(bool wanted);
  bool wait_for(u8 status_bits);

  u16 base_;
  u8 irq_;
  bool present_ = false, interrupts_ = false, transmit_interrupt_ = false;
  usize fifo_ = 1;  ///< bytes that an empty transmitter takes
  ByteRing<1024> received_{};
};

[[nodiscard]] Uart& com1();  ///< console
[[nodiscard]] Uart& com2();  ///< operator channel, if `channel=com2`
}  // namespace octavo::arch
