// SPDX-License-Identifier: Apache-2.0
// RDMSR and WRMSR: the policy says what an MSR is, here is where its state lives.
#include "vcpu/kvm_clock.hpp"
#include "vcpu/msr_policy.hpp"
#include "vcpu/vcpu.hpp"

namespace octavo::vcpu {

using arch::Gpr;

void Vcpu::on_read_msr(const arch::Exit& exit) {
  arch::GuestRegisters& r = context_.regs;
  const MsrAnswer answer = msrs_.read(static_cast<u32>(r[Gpr::rcx]));
  u64 value = answer.value;
  if (answer.kind == MsrAnswer::Kind::state) value = msr_state(answer.state);
  else if (answer.kind != MsrAnswer::Kind::value) return inject_gp();
  const std::optional<u64> next = next_rip(exit, InstructionKind::rdmsr);
  if (!next) return try_again();
  r[Gpr::rax] = static_cast<u32>(value);
  r[Gpr::rdx] = value >> 32;
  complete_instruction(*next);
}

void Vcpu::on_write_msr(const arch::Exit& exit) {
  const arch::GuestRegisters& r = context_.regs;
  const u64 value = (r[Gpr::rdx] << 32) | static_cast<u32>(r[Gpr::rax]);
  const arch::ControlState control = context_.control();
  const MsrAnswer answer = msrs_.write(static_cast<u32>(r[Gpr::rcx]), value, {control.cr0, control.efer});
  const std::optional<u64> next = next_rip(exit, InstructionKind::wrmsr);
  if (!next) return try_again();
  const bool taken = answer.kind == MsrAnswer::Kind::ignore ||
                     (answer.kind == MsrAnswer::Kind::state && set_msr_state(answer.state, answer.value));
  if (!taken) return inject_gp();
  complete_instruction(*next);
}

/// STAR and the like pass through to the guest without an exit; should a backend exit for one, it is not here.
u64 Vcpu::msr_state(MsrState state) const {
  switch (state) {
    case MsrState::tsc: return guest_tsc();
    case MsrState::efer: return context_.control().efer;
    case MsrState::pat: return context_.pat();
    case MsrState::kvm_system_time: return system_time_msr_;
    case MsrState::kvm_wall_clock: return wall_clock_msr_;
    default: return 0;
  }
}

/// False where the write is #GP after all.
bool Vcpu::set_msr_state(MsrState state, u64 value) {
  switch (state) {
    case MsrState::tsc: {
      const u64 before = guest_tsc();
      tsc_offset_ += value - before;
      context_.set_tsc_offset(tsc_offset_);
      environment_.tsc_written(before, value);
      if (const auto location = parse_system_time(system_time_msr_); location && location->enabled) {
        environment_.clock_page(*this, location->gpa, ClockPage::system_time);
      }
      return true;
    }
    case MsrState::efer: context_.set_efer(value); return true;
    case MsrState::pat: context_.set_pat(value); return true;
    case MsrState::kvm_system_time: {
      const auto location = parse_system_time(value);
      if (!location) return false;
      system_time_msr_ = value;
      if (location->enabled) environment_.clock_page(*this, location->gpa, ClockPage::system_time);
      return true;
    }
    case MsrState::kvm_wall_clock: {
      const auto gpa = parse_wall_clock(value);
      if (!gpa) return false;
      wall_clock_msr_ = value;
      environment_.clock_page(*this, *gpa, ClockPage::wall_clock);
      return true;
    }
    default: return false;
  }
}
}  // namespace octavo::vcpu
