// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/uart.hpp"

#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"

namespace octavo::arch {
namespace {
constexpr u8 k_8n1 = 3, k_divisor_latch = 0x80, k_fifo_on_cleared = 0x07, k_dtr_rts_out2 = 0x0b, k_loopback_rts = 0x1a;
constexpr u8 k_data_ready = 1, k_transmitter_ready = 1 << 5, k_transmitter_idle = 1 << 6;
constexpr u8 k_receive_interrupt = 1, k_transmit_interrupt = 2;
constexpr u8 k_no_interrupt = 1, k_fifo_works = 0xc0;  // interrupt identification
constexpr usize k_fifo = 16;  // bytes; the transmitter is ready when all of it is empty

constinit Uart first{0x3f8, 4};
constinit Uart second{0x2f8, 3};
}  // namespace

Uart& com1() { return first; }
Uart& com2() { return second; }

void Uart::write_register(Register reg, u8 value) { out8(static_cast<u16>(base_ + reg), value); }
u8 Uart::read_register(Register reg) const { return in8(static_cast<u16>(base_ + reg)); }

bool Uart::initialize() {
  write_register(line_control, k_8n1);  // first: Bochs masks data to the word length
  for (const u8 probe : {u8{0x5a}, u8{0xa5}}) {
    write_register(scratch, probe);
    if (read_register(scratch) != probe) return false;
  }
  write_register(interrupt_enable, 0);
  write_register(line_control, k_8n1 | k_divisor_latch);
  write_register(data, 1);  // 115200 / 1
  write_register(interrupt_enable, 0);
  write_register(line_control, k_8n1);
  write_register(fifo_control, k_fifo_on_cleared);
  // A chip that hears itself is there; a bus that happens to remember bytes is not one.
  write_register(modem_control, k_loopback_rts);
  write_register(data, 0x4f);
  bool heard = false;
  for (int i = 0; i < 10'000 && !heard; ++i) {
    if ((read_register(line_status) & k_data_ready) != 0) heard = read_register(data) == 0x4f;
  }
  write_register(modem_control, k_dtr_rts_out2);
  write_register(fifo_control, k_fifo_on_cleared);
  fifo_ = (read_register(interrupt_identification) & k_fifo_works) == k_fifo_works ? k_fifo : 1;
  return present_ = heard;
}

bool Uart::wait_for(u8 status_bits) {
  // 200 000 port reads are 0.1 s or more on every machine, a thousand times what a byte takes.
  for (int i = 0; i < 200'000; ++i) {
    if ((read_register(line_status) & status_bits) == status_bits) return true;
    relax();
  }
  return false;
}

void Uart::put(u8 byte) {
  if (!present_) return;
  if (!wait_for(k_transmitter_ready)) { present_ = false; return; }
  write_register(data, byte);
}

void Uart::drain() {
  if (present_) wait_for(k_transmitter_ready | k_transmitter_idle);
}

usize Uart::offer(std::string_view bytes) {
  if (!present_) return bytes.size();  // nobody hears it, so nothing is kept for later
  usize sent = 0;
  if ((read_register(line_status) & k_transmitter_ready) != 0) {
    for (; sent < bytes.size() && sent < fifo_; ++sent) write_register(data, static_cast<u8>(bytes[sent]));
  }
  want_transmit_interrupt(sent < bytes.size());
  return sent;
}

void Uart::want_transmit_interrupt(bool wanted) {
  if (!interrupts_ || wanted == transmit_interrupt_) return;
  transmit_interrupt_ = wanted;
  write_register(interrupt_enable, wanted ? k_receive_interrupt | k_transmit_interrupt : k_receive_interrupt);
}

void Uart::enable_interrupts() {
  if (!present_) return;
  interrupts_ = true;
  write_register(interrupt_enable, k_receive_interrupt);
  poll();  // what came before would hold an edge back
}

void Uart::interrupt() {
  // The line is edge-triggered: it must have been quiet once, or nothing is ever heard of it again. Reading the
  // identification takes back the transmitter's request, reading the data the receiver's.
  for (int i = 0; i < 16 && (read_register(interrupt_identification) & k_no_interrupt) == 0; ++i) poll();
}

void Uart::poll() {
  if (!present_) return;
  for (int i = 0; i < 256 && (read_register(line_status) & k_data_ready) != 0; ++i) received_.put(read_register(data));
}

std::optional<u8> Uart::read() { return received_.take(); }
}  // namespace octavo::arch
