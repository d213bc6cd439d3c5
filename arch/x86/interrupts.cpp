// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/interrupts.hpp"

#include "arch/x86/local_apic.hpp"
#include "arch/x86/panic.hpp"
#include "arch/x86/per_cpu.hpp"
#include "lib/log.hpp"

namespace octavo::arch {
namespace {
constinit InterruptHandler handlers[256];

constexpr u64 k_carry_flag = 1;

/// Filled by OCTAVO_FIXUP in registers.hpp.
struct Fixup {
  u64 faulting;
  u64 resume;
};
extern "C" const Fixup octavo_fixups_begin[], octavo_fixups_end[];

bool fix_up(InterruptFrame& frame) {
  for (const Fixup* fixup = octavo_fixups_begin; fixup != octavo_fixups_end; ++fixup) {
    if (fixup->faulting != frame.rip) continue;
    frame.rip = fixup->resume;
    frame.rflags |= k_carry_flag;
    return true;
  }
  return false;
}
}  // namespace

void set_interrupt_handler(Vector vector, InterruptHandler handler) { handlers[static_cast<u8>(vector)] = handler; }

extern "C" void octavo_interrupt(InterruptFrame& frame) {
  if (frame.vector < 32) {
    const bool may_be_fixed = frame.vector == static_cast<u64>(Exception::general_protection) ||
                              frame.vector == static_cast<u64>(Exception::invalid_opcode);
    if (may_be_fixed && fix_up(frame)) return;
    panic_on_exception(frame);
  }
  ++this_cpu().interrupts;
  if (frame.vector == static_cast<u64>(Vector::spurious)) return;  // must not be acknowledged
  if (const InterruptHandler handler = handlers[frame.vector]) handler();
  else log::warning("interrupt {:02x} has no handler", frame.vector);
  local_apic::acknowledge();
}
}  // namespace octavo::arch
