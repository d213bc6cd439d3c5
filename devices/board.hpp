// SPDX-License-Identifier: Apache-2.0
// The virtual PC of one domain: every device behind the I/O ports, plugged together. A plain object that the domain embeds; no
// memory is allocated. All calls are made under the domain's lock.
//
//   port       device                    interrupt        port          device                     interrupt
//   20 21 A0 A1 4D0 4D1  8259 pair       -> the vCPU      92            system control port A
//   40-43 61   8254, control port B      IRQ 0            F4-F7         debug exit
//   60 64      8042 without keyboard     IRQ 1            3F8-3FF       16550A, the console        IRQ 4
//   70 71      MC146818 clock            IRQ 8            600-605 608-60B  ACPI PM1, PM timer      IRQ 9, level
//   80         POST code                                  CF8-CFF       no PCI; CF9 resets
//
// The vCPU loop: after each exit, advance() if next_deadline_ns() has come; before each entry, if interrupt_pending() and the
// guest can take it, inject acknowledge_interrupt(). While halted, sleep until next_deadline_ns().
#pragma once
#include "devices/acpi_pm.hpp"
#include "devices/keyboard_controller.hpp"
#include "devices/pic.hpp"
#include "devices/pit.hpp"
#include "devices/port_bus.hpp"
#include "devices/rtc.hpp"
#include "devices/system_ports.hpp"
#include "devices/uart.hpp"

namespace octavo::devices {

class Board {
 public:
  /// The wall clock reads rtc_start_unix_seconds when clock reads 0. clock and events outlive the board.
  Board(const Clock& clock, BoardEvents& events, u64 rtc_start_unix_seconds);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  /// A port access of the guest; size is 1, 2 or 4. May call every BoardEvents function.
  [[nodiscard]] u32 read(u16 port, unsigned size) { return bus_.read(port, size); }
  void write(u16 port, unsigned size, u32 value) { bus_.write(port, size, value); }

  /// Does the interrupt controller assert INTR?
  [[nodiscard]] bool interrupt_pending() const { return pic_.pending(); }
  /// The INTA cycles: the vector to inject. Without a pending interrupt, a spurious one.
  u8 acknowledge_interrupt() { return pic_.acknowledge(); }

  /// When advance() must be called, in the Clock's time; nothing if never. Cached, so cheap enough for every entry.
  [[nodiscard]] std::optional<u64> next_deadline_ns() const;
  /// May next_deadline_ns() answer otherwise than when it was asked last?
  [[nodiscard]] bool deadline_changed() const { return deadline_accesses_ != bus_.timed_accesses(); }
  /// Lets the devices catch up with the clock. Afterwards the next deadline lies in the future.
  void advance();

  [[nodiscard]] bool console_can_receive() const { return uart_.can_receive(); }
  void console_receive(u8 byte) { uart_.receive(byte); }
  /// The operator presses the ACPI power button: a friendly request to shut down.
  void press_power_button() { acpi_pm_.press_power_button(); }

  /// The reset line of the machine: all devices as after power-on, but for the time of day and the CMOS memory.
  void reset();

  enum class Device : u8 { unknown, pic, pit, uart, keyboard_controller, rtc, acpi_pm, system };
  struct Counters {
    u64 missed_timer_ticks;     ///< ticks of channel 0 that passed while nobody called advance()
    u64 spurious_interrupts;
    const PortBus::Counters& ports;  ///< index with Device
  };
  [[nodiscard]] Counters counters() const { return {pit_.missed_ticks(), pic_.spurious(), bus_.counters()}; }
  [[nodiscard]] const Pic& pic() const { return pic_; }

 private:
  void settle_after_reset();

  const Clock& clock_;
  PortBus bus_;
  Pic pic_;
  PicInput timer_irq_{pic_, 0}, keyboard_irq_{pic_, 1}, serial_irq_{pic_, 4}, rtc_irq_{pic_, 8}, sci_irq_{pic_, 9};
  Pit pit_;
  Uart uart_;
  KeyboardController keyboard_;
  Rtc rtc_;
  AcpiPm acpi_pm_;
  SystemPorts system_;
  // The cache of next_deadline_ns(), good as long as nobody has accessed a timed device since.
  static constexpr u64 k_stale = ~u64{0};  ///< a number of accesses that nobody lives to see
  mutable std::optional<u64> deadline_;
  mutable u64 deadline_accesses_ = k_stale;
};
}  // namespace octavo::devices
