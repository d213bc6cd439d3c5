// SPDX-License-Identifier: Apache-2.0
// Exceptions and interrupts. The hypervisor runs with interrupts off; they are handled only inside interrupt_window() and
// wait_for_interrupt(), so a handler never finds a lock held and never runs on a red zone. Exceptions are bugs: they end in a
// panic with a dump, except at the few instructions that OCTAVO_FIXUP guards.
#pragma once
#include <cstddef>

#include "lib/int.hpp"

namespace octavo::arch {

enum class Exception : u8 {
  divide = 0, debug = 1, non_maskable = 2, breakpoint = 3, overflow = 4, bound = 5, invalid_opcode = 6, device_not_available = 7,
  double_fault = 8, invalid_tss = 10, segment_not_present = 11, stack = 12, general_protection = 13, page_fault = 14,
  floating_point = 16, alignment_check = 17, machine_check = 18, simd = 19, control_protection = 21, security = 30,
};

/// Vectors above the exceptions. ISA interrupt n, when routed, is isa_base + n.
enum class Vector : u8 { isa_base = 0x20, timer = 0xf0, flush = 0xf1, wake = 0xf2, spurious = 0xff };

/// The stack after octavo_interrupt_stubs have pushed what they push.
struct InterruptFrame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  u64 vector, error_code;
  u64 rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(InterruptFrame) == 22 * 8 && offsetof(InterruptFrame, vector) == 15 * 8);

/// Called with interrupts off, before the local APIC is told that the interrupt is done.
using InterruptHandler = void (*)();
void set_interrupt_handler(Vector vector, InterruptHandler handler);

/// 256 entry points of 16 bytes each.
extern "C" const char octavo_interrupt_stubs[];
}  // namespace octavo::arch
