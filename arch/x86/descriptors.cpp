// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/descriptors.hpp"

#include "arch/x86/interrupts.hpp"
#include "arch/x86/per_cpu.hpp"

namespace octavo::arch {
namespace {
constinit Gate interrupt_table[256];

struct [[gnu::packed]] TablePointer {
  u16 limit;
  u64 base;
};

InterruptStack stack_for(unsigned vector) {
  switch (static_cast<Exception>(vector)) {
    case Exception::double_fault: return InterruptStack::double_fault;
    case Exception::non_maskable: return InterruptStack::nmi;
    case Exception::machine_check: return InterruptStack::machine_check;
    default: return InterruptStack::ordinary;
  }
}
}  // namespace

void set_interrupt_stack(PerCpu& self, InterruptStack stack, u64 top) {
  self.task_state.ist[static_cast<u8>(stack) - 1] = top;
}

void make_interrupt_table() {
  for (unsigned vector = 0; vector < 256; ++vector) {
    interrupt_table[vector] = make_interrupt_gate(reinterpret_cast<u64>(octavo_interrupt_stubs) + vector * 16, stack_for(vector));
  }
}

void load_descriptors(PerCpu& self) {
  self.task_state.io_map_base = sizeof(TaskState);
  const u64 task_state = reinterpret_cast<u64>(&self.task_state);
  u64* const entries = self.descriptors.entries;
  entries[selector::code / 8] = 0x00af'9b00'0000'ffff;
  entries[selector::data / 8] = 0x00cf'9300'0000'ffff;
  entries[selector::task_state / 8] = (sizeof(TaskState) - 1) | (task_state & 0xff'ffff) << 16 | u64{0x89} << 40 | (task_state >> 24 & 0xff) << 56;
  entries[selector::task_state / 8 + 1] = task_state >> 32;

  const TablePointer gdt{sizeof(DescriptorTable) - 1, reinterpret_cast<u64>(entries)};
  const TablePointer idt{sizeof interrupt_table - 1, reinterpret_cast<u64>(interrupt_table)};
  asm volatile(
      "lgdt %0\n"
      "lidt %1\n"
      "pushq %q2\n"
      "leaq 1f(%%rip), %%rax\n"
      "pushq %%rax\n"
      "lretq\n"
      "1:\n"
      "mov %w3, %%ss\n"
      "mov %w3, %%ds\n"
      "mov %w3, %%es\n"
      "ltr %w4\n"
      :
      : "m"(gdt), "m"(idt), "r"(u64{selector::code}), "r"(selector::data), "r"(selector::task_state)
      : "rax", "memory");
}
}  // namespace octavo::arch
