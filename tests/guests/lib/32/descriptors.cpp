// SPDX-License-Identifier: Apache-2.0
#include "descriptors.hpp"

#include "fault.hpp"

namespace {
struct Gate {
  u16 offset_low, selector;
  u8 zero, type;
  u16 offset_high;
};
struct Tss {
  u32 link, esp0, ss0, other[22];
  u16 trap, io_map;
};
static_assert(sizeof(Gate) == 8 && sizeof(Tss) == 104);

alignas(16) Gate idt[256];
Tss tss;
}  // namespace

namespace descriptors {
void write_gate(unsigned vector, word entry, bool present, unsigned dpl, bool) {
  idt[vector] = {.offset_low = static_cast<u16>(entry),
                 .selector = k_code,
                 .zero = 0,
                 .type = static_cast<u8>((present ? 0x80u : 0u) | dpl << 5 | 0xEu),
                 .offset_high = static_cast<u16>(entry >> 16)};
}

void load() {
  tss.esp0 = reinterpret_cast<word>(guest_interrupt_stack_top);
  tss.ss0 = k_data;
  tss.io_map = sizeof tss;
  const u64 base = reinterpret_cast<word>(&tss);
  guest_gdt[5] = (sizeof tss - 1) | (base & 0xFFFFFF) << 16 | u64{0x89} << 40 | (base >> 24 & 0xFF) << 56;
  x86::lidt({sizeof idt - 1, reinterpret_cast<word>(idt)});
  asm volatile("ltr %w0" ::"r"(k_tss) : "memory");
}
}  // namespace descriptors
