// SPDX-License-Identifier: Apache-2.0
// What a vCPU asks of the domain that it belongs to. vcpu/ knows the processor; guest memory policy, devices and
// hypercalls are behind this interface.
#pragma once
#include <optional>

#include "arch/x86/exit.hpp"
#include "lib/error.hpp"

namespace octavo::walk {
class GuestBytes;
}

namespace octavo::vcpu {
class Vcpu;

/// What becomes of a guest access that the nested tables stopped.
enum class MemoryVerdict : u8 {
  retry,  ///< the translation is there now; let the guest do it again
  stop,   ///< nothing is there and nothing will be; the domain has been stopped, with a reason
  wait,   ///< not now: the vCPU leaves its CPU, and does the same again when the domain lets it run on
};

/// Why a domain stops without wishing to.
enum class CrashCause : u8 { triple_fault, memory_hole, invalid_state, unhandled_exit, halted_for_ever, task_switch, unreadable_instruction };
[[nodiscard]] constexpr const char* to_string(CrashCause cause) {
  switch (cause) {
    case CrashCause::triple_fault: return "triple fault";
    case CrashCause::memory_hole: return "access to guest-physical memory that does not exist";
    case CrashCause::invalid_state: return "the processor refused the guest's state";
    case CrashCause::unhandled_exit: return "an exit that Octavo does not handle";
    case CrashCause::halted_for_ever: return "halted with interrupts off, for ever";
    case CrashCause::unreadable_instruction: return "an instruction exits again and again, and its bytes are another or cannot be read";
    case CrashCause::task_switch: return "a hardware task switch, which Octavo does not emulate";
  }
  return "?";
}

/// The structures of the KVM-compatible clock.
enum class ClockPage : u8 { system_time, wall_clock };

class Environment {
 public:
  /// `size` is 1, 2 or 4 bytes; bits of a value above it mean nothing, in both directions.
  [[nodiscard]] virtual u32 port_read(u16 port, unsigned size) = 0;
  virtual void port_write(u16 port, unsigned size, u32 value) = 0;
  [[nodiscard]] virtual bool interrupt_pending() = 0;
  [[nodiscard]] virtual u8 acknowledge_interrupt() = 0;
  [[nodiscard]] virtual MemoryVerdict memory_fault(const arch::MemoryFault& fault) = 0;
  virtual void hypercall(Vcpu& vcpu) = 0;
  /// The guest wrote MSR_KVM_SYSTEM_TIME (or _WALL_CLOCK): fill in the structure at gpa.
  virtual void clock_page(Vcpu& vcpu, Gpa gpa, ClockPage which) = 0;
  /// The guest set its TSC, which was `before` just now, to `after`.
  virtual void tsc_written(u64 before, u64 after) = 0;
  /// An interrupt is pending and the backend cannot ask for a window just now: make the guest exit after a short while.
  virtual void interrupt_delayed() = 0;
  virtual void crashed(Vcpu& vcpu, CrashCause cause) = 0;
  [[nodiscard]] virtual walk::GuestBytes& guest_memory() = 0;
  /// Three bytes of the 64-bit instruction that has just exited, by the short way (walk/peek.hpp); nothing says nothing.
  [[nodiscard]] virtual std::optional<u32> peek_executed(u64 cr3, u64 rip) = 0;

 protected:
  ~Environment() = default;
};
}  // namespace octavo::vcpu
