// SPDX-License-Identifier: Apache-2.0
// Writes to control registers that the backend hands to us: CR0, CR4 and CR8 (SDM Vol. 3, 2.5), and XCR0. What the manual says
// is #GP is #GP here, also where an emulator below us is less strict.
#include "vcpu/vcpu.hpp"
#include "walk/copy.hpp"

namespace octavo::vcpu {

using arch::Gpr;

void Vcpu::on_control_register(const arch::Exit& exit) {
  const auto instruction = fetch(InstructionSet{InstructionKind::mov_to_cr, InstructionKind::mov_from_cr, InstructionKind::clts,
                                                InstructionKind::lmsw});
  if (!instruction) return try_again();
  const u64 next = rip_after(instruction->length);
  const arch::ControlState control = context_.control();
  u64 value = 0;
  u8 number = 0;
  switch (instruction->kind) {
    case InstructionKind::clts: value = control.cr0 & ~arch::cr0::ts; break;
    case InstructionKind::lmsw: {
      const std::optional<u16> word = lmsw_operand(*instruction, next);
      if (!word) return;
      constexpr u64 changeable = arch::cr0::pe | arch::cr0::mp | arch::cr0::em | arch::cr0::ts;
      value = (control.cr0 & ~changeable) | (*word & changeable) | (control.cr0 & arch::cr0::pe);  // it cannot clear PE
      break;
    }
    case InstructionKind::mov_from_cr:
      if (instruction->system_register != 8) return try_again();  // no other is intercepted
      context_.regs.gpr[*instruction->general_register & 15] = cr8_;
      return complete_instruction(next);
    default:
      number = instruction->system_register;
      if (number != 0 && number != 4 && number != 8) return try_again();
      value = context_.regs.gpr[*instruction->general_register & 15];
      if (instruction->operand_bytes == 4) value = static_cast<u32>(value);
  }
  bool valid = false;
  if (number == 0) valid = write_cr0(value);
  if (number == 4) valid = write_cr4(value);
  if (number == 8) {
    // Without a local APIC the task priority holds nothing back; it is kept for whoever reads it.
    valid = value <= 15;
    if (valid) cr8_ = static_cast<u8>(value);
  }
  if (!valid) return inject_gp();
  complete_instruction(next);
  static_cast<void>(exit);
}

/// The 16 bits that LMSW loads; nothing if a fault has been injected instead, the guest has been stopped, or it tries again.
std::optional<u16> Vcpu::lmsw_operand(const Instruction& instruction, u64 next_rip) {
  if (instruction.general_register) return static_cast<u16>(context_.regs.gpr[*instruction.general_register & 15]);
  if (!instruction.memory) return std::nullopt;
  const auto name = static_cast<arch::SegmentName>(instruction.memory->segment);
  const bool flat = code_size() == 64 && name != arch::SegmentName::fs && name != arch::SegmentName::gs;
  u64 address = instruction.memory->offset(context_.regs.gpr, next_rip) + (flat ? 0 : context_.segment(name).base);
  if (code_size() != 64) address = static_cast<u32>(address);
  u8 bytes[2];
  const auto copied = walk::copy_from_guest(environment_.guest_memory(), paging_mode(), walk::Access{}, Gva{address}, bytes);
  if (copied) return static_cast<u16>(bytes[0] | bytes[1] << 8);
  const walk::Failure& failure = copied.error().walk;
  if (copied.error().kind != walk::CopyFailure::Kind::translation) {
    unreachable(copied.error().gpa, false);
    return std::nullopt;
  }
  if (failure.kind == walk::Failure::Kind::page_fault) {
    context_.set_cr2(failure.address.value());
    inject_fault(arch::Event::exception(arch::vector::pf, failure.error_code));
  } else if (failure.kind == walk::Failure::Kind::non_canonical) {
    inject_gp();
  } else if (failure.kind == walk::Failure::Kind::table_unreachable) {
    unreachable(failure.table, false);
  }
  return std::nullopt;
}

/// MOV to CR0 and its like; false for a value that raises #GP(0). PG with EFER.LME switches long mode on and off (SDM Vol. 3, 9.8.5).
bool Vcpu::write_cr0(u64 value) {
  const arch::ControlState c = context_.control();
  if (!cr0_valid(value)) return false;
  const bool pages = (c.cr0 & arch::cr0::pg) != 0, will_page = (value & arch::cr0::pg) != 0;
  u64 efer = c.efer;
  if (!pages && will_page && (efer & arch::efer::lme) != 0) {
    if ((c.cr4 & arch::cr4::pae) == 0 || context_.segment(arch::SegmentName::cs).is_long()) return false;
    efer |= arch::efer::lma;
  }
  if (pages && !will_page && (efer & arch::efer::lma) != 0) {
    if (context_.segment(arch::SegmentName::cs).is_long()) return false;
    efer &= ~arch::efer::lma;
  }
  if (efer != c.efer) context_.set_efer(efer);
  constexpr u64 known = arch::cr0::pe | arch::cr0::mp | arch::cr0::em | arch::cr0::ts | arch::cr0::ne | arch::cr0::wp |
                        arch::cr0::am | arch::cr0::nw | arch::cr0::cd | arch::cr0::pg;
  context_.set_cr0((value & known) | arch::cr0::et);
  return true;
}

/// MOV to CR4; false for a value that raises #GP(0).
bool Vcpu::write_cr4(u64 value) {
  const arch::ControlState c = context_.control();
  if ((value & ~cpuid_.cr4_mask()) != 0) return false;
  if ((c.efer & arch::efer::lma) != 0 && (value & arch::cr4::pae) == 0) return false;
  context_.set_cr4(value);
  return true;
}

void Vcpu::on_set_xcr(const arch::Exit& exit) {
  const std::optional<u64> next = next_rip(exit, InstructionKind::xsetbv);
  if (!next) return try_again();
  const arch::GuestRegisters& r = context_.regs;
  const u64 value = (r[Gpr::rdx] << 32) | static_cast<u32>(r[Gpr::rax]);
  if (context_.cpl() != 0 || static_cast<u32>(r[Gpr::rcx]) != 0 || !cpuid_.xcr0_valid(value)) return inject_gp();
  arch::set_xcr0(value);
  complete_instruction(*next);
}

/// QEMU's TCG answers a MOV to CR3 with reserved bits by #VMEXIT(ERR) where a processor raises #GP (docs/emulators.md,
/// pitfall 3). The guest's state is whole then. Any other refusal of the guest's state is the end of it.
void Vcpu::on_invalid_state() {
  const auto instruction = fetch(InstructionSet{InstructionKind::mov_to_cr});
  if (instruction && instruction->system_register == 3 && instruction->general_register) {
    const u64 value = context_.regs.gpr[*instruction->general_register & 15];
    if ((value >> cpuid_.physical_bits()) != 0) return inject_gp();
  }
  crash(CrashCause::invalid_state);
}
}  // namespace octavo::vcpu
