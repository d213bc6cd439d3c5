// SPDX-License-Identifier: Apache-2.0
// GDT, TSS and IDT as the processor reads them (AMD APM vol. 2, 4.8, 8.2.1, 12.2.5), and loading them.
#pragma once
#include <cstddef>

#include "lib/int.hpp"

namespace octavo::arch {

namespace selector {
inline constexpr u16 null = 0, code = 8, data = 16, task_state = 24;
}

struct [[gnu::packed]] TaskState {
  u32 reserved_0 = 0;
  u64 rsp[3] = {};
  u64 reserved_1 = 0;
  u64 ist[7] = {};               ///< ist[i] is what a gate calls IST i + 1
  u64 reserved_2 = 0;
  u16 reserved_3 = 0;
  u16 io_map_base = 0;           ///< offset; at or beyond the limit: no map
};
static_assert(sizeof(TaskState) == 104 && offsetof(TaskState, ist) == 36 && offsetof(TaskState, io_map_base) == 102);

/// Interrupt stacks of their own, for what may come when the ordinary stack is the problem.
enum class InterruptStack : u8 { ordinary = 0, double_fault = 1, nmi = 2, machine_check = 3 };
inline constexpr unsigned k_interrupt_stacks = 3;

struct DescriptorTable {
  u64 entries[5] = {};           ///< null, code, data, and the TSS in two
};

struct Gate {
  u64 low = 0;
  u64 high = 0;
};

/// A 64-bit interrupt gate (interrupts off on entry), DPL 0.
[[nodiscard]] constexpr Gate make_interrupt_gate(u64 handler, InterruptStack stack) {
  constexpr u64 present_interrupt_gate = 0x8e;
  return {(handler & 0xffff) | u64{selector::code} << 16 | u64{static_cast<u8>(stack)} << 32 | present_interrupt_gate << 40 |
              (handler >> 16 & 0xffff) << 48,
          handler >> 32};
}

struct PerCpu;
/// Fills the IDT, which all CPUs share. The boot CPU, once, before load_descriptors().
void make_interrupt_table();
/// Makes GDT and TSS for the CPU whose block this is and loads them and the IDT.
void load_descriptors(PerCpu& self);
/// Where `stack` of this CPU ends; valid at once.
void set_interrupt_stack(PerCpu& self, InterruptStack stack, u64 top);
}  // namespace octavo::arch
