// SPDX-License-Identifier: Apache-2.0
#include "timer.hpp"

namespace pic {
using x86::inb;
using x86::outb;

void initialize() {
  outb(0x20, 0x11), outb(0xA0, 0x11);          // ICW1: cascade, edge, ICW4 follows
  outb(0x21, k_base), outb(0xA1, k_base + 8);  // ICW2: vectors
  outb(0x21, 4), outb(0xA1, 2);                // ICW3: slave on line 2
  outb(0x21, 1), outb(0xA1, 1);                // ICW4: 8086 mode, explicit end of interrupt
  enable_only(0);
}
void enable_only(u16 lines) {
  const unsigned open = lines | (lines & 0xFF00 ? 4u : 0u);
  outb(0x21, ~open & 0xFF);
  outb(0xA1, ~open >> 8 & 0xFF);
}
void end_of_interrupt(unsigned irq) {
  if (irq >= 8)
    outb(0xA0, 0x60 | (irq & 7)), outb(0x20, 0x62);
  else
    outb(0x20, 0x60 | irq);
}
u16 requests() {
  outb(0x20, 0x0A), outb(0xA0, 0x0A);
  return static_cast<u16>(inb(0x20) | inb(0xA0) << 8);
}
u16 in_service() {
  outb(0x20, 0x0B), outb(0xA0, 0x0B);
  return static_cast<u16>(inb(0x20) | inb(0xA0) << 8);
}
}  // namespace pic

namespace pit {
namespace {
void start(unsigned mode, u32 count) {
  x86::outb(0x43, 0x30 | mode << 1);  // counter 0, low byte then high byte, binary
  x86::outb(0x40, count & 0xFF);
  x86::outb(0x40, count >> 8 & 0xFF);
}
}  // namespace
void periodic(u32 count) {
  start(2, count);
}
void one_shot(u32 count) {
  start(0, count);
}
u16 read() {
  x86::outb(0x43, 0);
  const unsigned low = x86::inb(0x40);
  return static_cast<u16>(low | unsigned{x86::inb(0x40)} << 8);
}
}  // namespace pit

u64 median(u64* numbers, unsigned count) {
  for (unsigned gap = count / 2; gap > 0; gap /= 2)
    for (unsigned i = gap; i < count; ++i) {
      const u64 x = numbers[i];
      unsigned j = i;
      for (; j >= gap && numbers[j - gap] > x; j -= gap) numbers[j] = numbers[j - gap];
      numbers[j] = x;
    }
  return numbers[count / 2];
}
