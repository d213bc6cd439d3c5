// SPDX-License-Identifier: Apache-2.0
#include "devices/uart.hpp"

namespace octavo::devices {
namespace {
enum Register : u16 { data = 0, interrupt_enable = 1, identification = 2, line_control = 3, modem_control = 4, line_status = 5,
                      modem_status = 6, scratch = 7 };
constexpr u8 k_ier_received = 0x01, k_ier_transmitter = 0x02, k_ier_line = 0x04, k_ier_modem = 0x08;
constexpr u8 k_iir_fifo = 0xC0;
constexpr u8 k_fcr_enable = 0x01, k_fcr_clear_receiver = 0x02;
constexpr u8 k_lcr_divisor = 0x80;
constexpr u8 k_mcr_dtr = 0x01, k_mcr_rts = 0x02, k_mcr_out1 = 0x04, k_mcr_out2 = 0x08, k_mcr_loop = 0x10;
constexpr u8 k_lsr_ready = 0x01, k_lsr_overrun = 0x02, k_lsr_empty = 0x60;
constexpr u8 k_msr_delta = 0x0F, k_msr_ring_ended = 0x04, k_msr_cts = 0x10, k_msr_dsr = 0x20, k_msr_ring = 0x40, k_msr_carrier = 0x80;
constexpr u8 k_triggers[] = {1, 4, 8, 14};
}  // namespace

bool Uart::loopback() const { return (mcr_ & k_mcr_loop) != 0; }
bool Uart::divisor_access() const { return (lcr_ & k_lcr_divisor) != 0; }

// 8.6.1, table IV: one source at a time, by priority.
Uart::Interrupt Uart::interrupt() const {
  if ((ier_ & k_ier_line) != 0 && overrun_) return Interrupt::line;
  if ((ier_ & k_ier_received) != 0 && used_ != 0) {
    return !fifo_enabled_ || used_ >= trigger_ ? Interrupt::received : Interrupt::time_out;
  }
  if ((ier_ & k_ier_transmitter) != 0 && transmitter_pending_) return Interrupt::transmitter;
  if ((ier_ & k_ier_modem) != 0 && (msr_ & k_msr_delta) != 0) return Interrupt::modem;
  return Interrupt::none;
}

// OUT2 enables the line driver; in loopback the modem control outputs are forced inactive (8.6.7).
void Uart::update() {
  const bool asserted = interrupt() != Interrupt::none && (mcr_ & (k_mcr_out2 | k_mcr_loop)) == k_mcr_out2;
  if (asserted == asserted_) return;
  asserted_ = asserted;
  irq_.set(asserted);
}

u8 Uart::take_received() {
  if (used_ == 0) return 0;
  const u8 byte = fifo_[head_];
  head_ = (head_ + 1) % k_fifo_size;
  --used_;
  return byte;
}

u8 Uart::identify() {
  const Interrupt source = interrupt();
  if (source == Interrupt::transmitter) transmitter_pending_ = false;
  return static_cast<u8>(static_cast<unsigned>(source) | (fifo_enabled_ ? k_iir_fifo : 0U));
}

u32 Uart::read(u16 port, unsigned /*size*/) {
  u8 value = 0xFF;
  switch (port & 7) {
    case data: value = divisor_access() ? static_cast<u8>(divisor_) : take_received(); break;
    case interrupt_enable: value = divisor_access() ? static_cast<u8>(divisor_ >> 8) : ier_; break;
    case identification: value = identify(); break;
    case line_control: return lcr_;
    case modem_control: return mcr_;
    case line_status:
      value = static_cast<u8>(k_lsr_empty | (used_ != 0 ? k_lsr_ready : 0U) | (overrun_ ? k_lsr_overrun : 0U));
      if (!overrun_) return value;  // the guest's hottest read changes nothing
      overrun_ = false;
      break;
    case modem_status:
      value = msr_;
      msr_ &= static_cast<u8>(~k_msr_delta);
      break;
    case scratch: return scratch_;
    default: break;
  }
  update();
  return value;
}

void Uart::write(u16 port, unsigned /*size*/, u32 value) {
  const u8 byte = static_cast<u8>(value);
  switch (port & 7) {
    case data:
      if (!divisor_access()) return transmit(byte);
      divisor_ = static_cast<u16>((divisor_ & 0xFF00) | byte);
      return;
    case interrupt_enable:
      if (!divisor_access()) return enable_interrupts(byte);
      divisor_ = static_cast<u16>((divisor_ & 0x00FF) | byte << 8);
      return;
    case identification: return control_fifo(byte);
    case line_control: lcr_ = byte; return;
    case modem_control: return control_modem(byte);
    case scratch: scratch_ = byte; return;
    default: return;  // the status registers are for the factory's tests
  }
}

void Uart::transmit(u8 byte) {
  if (loopback()) {
    push(byte);
  } else {
    events_.console_output(byte);
  }
  if ((ier_ & k_ier_transmitter) != 0) {  // writing takes the interrupt back, having emptied again raises it anew
    transmitter_pending_ = false;
    update();
  }
  transmitter_pending_ = true;
  update();
}

void Uart::push(u8 byte) {
  if (used_ < capacity()) {
    fifo_[(head_ + used_) % k_fifo_size] = byte;
    ++used_;
    return;
  }
  overrun_ = true;
  if (!fifo_enabled_) fifo_[head_] = byte;  // 8.6.3: without FIFO the old character is destroyed, with it the new one
}

void Uart::receive(u8 byte) {
  push(byte);
  update();
}

void Uart::enable_interrupts(u8 value) {
  const u8 old = ier_;
  ier_ = value & 0x0F;
  // Enabling with an empty transmitter interrupts at once; the transmitter is always empty.
  if ((ier_ & ~old & k_ier_transmitter) != 0) transmitter_pending_ = true;
  update();
}

void Uart::control_fifo(u8 value) {
  const bool enable = (value & k_fcr_enable) != 0;
  if (enable != fifo_enabled_ || (enable && (value & k_fcr_clear_receiver) != 0)) used_ = 0;  // 8.6.4
  fifo_enabled_ = enable;
  trigger_ = enable ? k_triggers[value >> 6] : 1;
  update();
}

void Uart::control_modem(u8 value) {
  mcr_ = value & 0x1F;
  update_modem_status();
  update();
}

// A terminal that is always there; in loopback the four outputs come back as the four inputs (8.6.7).
void Uart::update_modem_status() {
  unsigned inputs = k_msr_cts | k_msr_dsr | k_msr_carrier;
  if (loopback()) {
    inputs = ((mcr_ & k_mcr_rts) != 0 ? k_msr_cts : 0U) | ((mcr_ & k_mcr_dtr) != 0 ? k_msr_dsr : 0U) |
             ((mcr_ & k_mcr_out1) != 0 ? k_msr_ring : 0U) | ((mcr_ & k_mcr_out2) != 0 ? k_msr_carrier : 0U);
  }
  unsigned delta = ((msr_ ^ inputs) & (k_msr_cts | k_msr_dsr | k_msr_carrier)) >> 4;
  if ((msr_ & ~inputs & k_msr_ring) != 0) delta |= k_msr_ring_ended;
  msr_ = static_cast<u8>(inputs | (msr_ & k_msr_delta) | delta);
}

void Uart::reset() {
  head_ = used_ = 0;
  ier_ = lcr_ = mcr_ = 0;
  trigger_ = 1;
  divisor_ = 1;
  fifo_enabled_ = overrun_ = false;
  transmitter_pending_ = true;
  update_modem_status();
  msr_ &= static_cast<u8>(~k_msr_delta);
  update();
}
}  // namespace octavo::devices
