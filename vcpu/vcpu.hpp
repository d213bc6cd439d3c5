// SPDX-License-Identifier: Apache-2.0
// vcpu/: a virtual processor: its state beyond what the backend holds, the loop around the world switch, and what a processor
// does by itself: CPUID, MSRs, control registers, HLT, interrupts, string port I/O. What belongs to the domain is asked of the
// Environment. One CPU at a time runs a Vcpu; everyone else touches it only while it does not run (the domain's lock).
#pragma once
#include "arch/x86/guest_context.hpp"
#include "mm/epoch.hpp"
#include "vcpu/cpuid_policy.hpp"
#include "vcpu/environment.hpp"
#include "vcpu/instruction.hpp"
#include "vcpu/msr_policy.hpp"
#include "vcpu/trace.hpp"
#include "walk/mode.hpp"

namespace octavo::vcpu {

/// Why run() came back.
enum class SliceEnd : u8 {
  interrupted,  ///< a host interrupt; the guest is runnable
  halted,       ///< HLT with nothing pending; runnable again when an interrupt is
  stopped,      ///< the environment was told why, or asked for it
  waiting,      ///< for memory; the environment knows what for
};

struct VcpuCounters {
  u64 exits[static_cast<unsigned>(arch::ExitKind::count)] = {};
  u64 injected_interrupts = 0;
  u64 injected_exceptions = 0;
  u64 interrupt_windows = 0;
  [[nodiscard]] u64 total_exits() const {
    u64 sum = 0;
    for (const u64 n : exits) sum += n;
    return sum;
  }
};

/// What all vCPUs of the machine have in common.
struct Policies {
  CpuidPolicy cpuid;
  MsrPolicy msrs;
};

class Vcpu {
 public:
  /// `context` was made by the backend; `extended_state` is one frame for XSAVE, zeroed, mapped for the Vcpu's life.
  /// `users` is told when a CPU is in the guest.
  Vcpu(arch::GuestContext& context, Environment& environment, mm::TagUsers& users, const Policies& policies, void* extended_state,
       u64 host_tsc_at_birth);

  /// Runs the guest until something other than the guest wants this CPU. Interrupts off, before and after.
  SliceEnd run();
  /// This vCPU gets, or loses, the CPU's extended state and debug registers. The scheduler calls them on a change only.
  void load_on_cpu();
  void save_from_cpu();

  /// run() comes back as soon as the guest's current exit has been dealt with, and does not enter the guest again.
  void request_stop() { stop_requested_ = true; }

  [[nodiscard]] arch::GuestContext& context() { return context_; }
  [[nodiscard]] const VcpuCounters& counters() const { return counters_; }
  [[nodiscard]] const ExitTrace& trace() const { return trace_; }
  [[nodiscard]] bool halted() const { return halted_; }

  /// How linear addresses translate now.
  [[nodiscard]] walk::Mode paging_mode();
  [[nodiscard]] u64 guest_tsc() const { return arch::tsc() + tsc_offset_; }
  [[nodiscard]] u64 tsc_offset() const { return tsc_offset_; }
  [[nodiscard]] unsigned code_size() const;  ///< 16, 32 or 64

  /// Deliver a fault to the guest instead of what it tried.
  void inject_fault(const arch::Event& event);
  /// Registers, control registers, segments, for a person.
  void print(Sink& sink);

 private:
  void take_interrupts();

  // One function for each kind of exit: vcpu/exits.cpp, exits_control.cpp, exits_msr.cpp, exits_string_io.cpp.
  void on_cpuid(const arch::Exit& exit);
  void on_read_msr(const arch::Exit& exit);
  void on_write_msr(const arch::Exit& exit);
  void on_port_io(const arch::Exit& exit);
  void on_string_io(const arch::Exit& exit);
  void on_hypercall(const arch::Exit& exit);
  void on_control_register(const arch::Exit& exit);
  void on_set_xcr(const arch::Exit& exit);
  void on_cache_control(const arch::Exit& exit);
  void on_exception(const arch::Exit& exit);
  void on_invalid_state();
  bool on_halt(const arch::Exit& exit);

  /// RIP moves past an instruction that was completed in software; the interrupt shadow ends; with TF set, #DB follows.
  [[gnu::always_inline]] void complete_instruction(u64 next_rip) {
    retries_ = 0;
    context_.regs.rip = next_rip;
    context_.regs.rflags &= ~arch::rflags::rf;
    context_.clear_interrupt_shadow();
    if ((context_.regs.rflags & arch::rflags::tf) != 0) [[unlikely]] inject_debug(arch::dr6::single_step);
  }
  [[nodiscard]] std::optional<Instruction> fetch(InstructionSet expected);
  /// Where the instruction that exited ends; nothing as with fetch(). In 64-bit code one without prefixes is looked at by a short
  /// way, which spares the hot exits most of a walk and of a decoder.
  [[nodiscard, gnu::always_inline]] std::optional<u64> next_rip(const arch::Exit& exit, InstructionKind expected) {
    if (exit.next_rip != 0) return exit.next_rip;
    const Encoding plain = plain_encoding(expected);
    if (context_.in_64bit_code() && plain.begins(environment_.peek_executed(context_.cr3(), context_.regs.rip))) [[likely]] {
      return context_.regs.rip + plain.length;
    }
    return decoded_next_rip(expected);
  }
  [[nodiscard]] std::optional<u64> decoded_next_rip(InstructionKind expected);
  void try_again();
  void unreachable(Gpa gpa, bool write);
  void fault(const arch::MemoryFault& fault);
  [[nodiscard]] u64 rip_after(u8 length) const;
  [[nodiscard]] bool write_cr0(u64 value);
  [[nodiscard]] bool write_cr4(u64 value);
  [[nodiscard]] std::optional<u16> lmsw_operand(const Instruction& instruction, u64 next_rip);
  [[nodiscard]] u64 msr_state(MsrState state) const;
  [[nodiscard]] bool set_msr_state(MsrState state, u64 value);
  /// #DB, for `reasons` in DR6. Its delivery clears DR7.GD (SDM Vol. 3, 17.2.4), which injection does not.
  void inject_debug(u64 reasons);
  void inject_gp() { inject_fault(arch::Event::exception(arch::vector::gp, 0)); }
  void inject_ud() { inject_fault(arch::Event::exception(arch::vector::ud)); }
  void crash(CrashCause cause);

  arch::GuestContext& context_;
  Environment& environment_;
  mm::TagUsers& users_;
  const CpuidPolicy& cpuid_;
  const MsrPolicy& msrs_;
  void* extended_state_;
  u64 tsc_offset_;
  u64 xcr0_ = 1;  ///< while another vCPU has the CPU
  u8 cr8_ = 0;
  u64 system_time_msr_ = 0;
  u64 wall_clock_msr_ = 0;
  u64 debug_addresses_[4] = {};
  bool stop_requested_ = false;
  bool waiting_ = false;  ///< run() is to come back because memory is missing
  bool halted_ = false;
  u64 retried_rip_ = 0;   ///< see try_again()
  unsigned retries_ = 0;  ///< there, since an instruction was completed
  VcpuCounters counters_;
  ExitTrace trace_;
};
}  // namespace octavo::vcpu
