// SPDX-License-Identifier: Apache-2.0
#include "descriptors.hpp"

#include "fault.hpp"

namespace {
struct Gate {
  u16 offset_low, selector;
  u8 ist, type;
  u16 offset_middle;
  u32 offset_high, reserved;
};
struct [[gnu::packed]] Tss {
  u32 reserved0;
  u64 rsp[3], reserved1, ist[7], reserved2;
  u16 reserved3, io_map;
};
static_assert(sizeof(Gate) == 16 && sizeof(Tss) == 104);

alignas(16) Gate idt[256];
Tss tss;
alignas(16) u8 double_fault_stack[8192];
}  // namespace

namespace descriptors {
void write_gate(unsigned vector, word entry, bool present, unsigned dpl, bool own_stack) {
  idt[vector] = {.offset_low = static_cast<u16>(entry),
                 .selector = k_code,
                 .ist = own_stack ? u8{1} : u8{0},
                 .type = static_cast<u8>((present ? 0x80u : 0u) | dpl << 5 | 0xEu),
                 .offset_middle = static_cast<u16>(entry >> 16),
                 .offset_high = static_cast<u32>(entry >> 32),
                 .reserved = 0};
}

void load() {
  tss.rsp[0] = reinterpret_cast<word>(guest_interrupt_stack_top);
  tss.ist[0] = reinterpret_cast<word>(double_fault_stack + sizeof double_fault_stack);
  tss.io_map = sizeof tss;
  const u64 base = reinterpret_cast<word>(&tss);
  guest_gdt[5] = (sizeof tss - 1) | (base & 0xFFFFFF) << 16 | u64{0x89} << 40 | (base >> 24 & 0xFF) << 56;
  guest_gdt[6] = base >> 32;
  x86::lidt({sizeof idt - 1, reinterpret_cast<word>(idt)});
  asm volatile("ltr %w0" ::"r"(k_tss) : "memory");
}
}  // namespace descriptors

bool on_double_fault_stack(word sp) {
  const word low = reinterpret_cast<word>(double_fault_stack);
  return sp >= low && sp < low + sizeof double_fault_stack;
}
