// SPDX-License-Identifier: Apache-2.0
#include "uart.hpp"

#include "x86.hpp"

namespace uart {
namespace {
constexpr unsigned k_fifo = 16;
unsigned room = 0;  // bytes that still fit into the transmit FIFO

void put(char c) {
  while (room == 0)
    if (x86::inb(k_lsr) & k_lsr_thre) room = k_fifo;
  x86::outb(k_data, static_cast<u8>(c));
  --room;
}
}  // namespace

void initialize() {
  x86::outb(k_ier, 0);
  x86::outb(k_lcr, 0x80);  // divisor latch
  x86::outb(k_data, 1);    // 115200 baud
  x86::outb(k_ier, 0);
  x86::outb(k_lcr, 3);  // 8n1
  x86::outb(k_iir, 7);  // FIFOs on and empty
  x86::outb(k_mcr, 3);  // DTR, RTS
}

void write(const char* string) {
  for (; *string != 0; ++string) {
    if (*string == '\n') put('\r');
    put(*string);
  }
}

void drain() {
  while (!(x86::inb(k_lsr) & k_lsr_empty)) asm volatile("pause");
}
}  // namespace uart
