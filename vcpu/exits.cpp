// SPDX-License-Identifier: Apache-2.0
// What the processor would have done: one function for each kind of exit that the guest's own instruction caused.
#include "vcpu/instruction.hpp"
#include "vcpu/msr_policy.hpp"
#include "vcpu/vcpu.hpp"
#include "walk/copy.hpp"

namespace octavo::vcpu {

using arch::Event;
using arch::Exit;
using arch::Gpr;

namespace {
constexpr usize k_longest_instruction = 15;
/// So often the same exit at the same RIP may find other bytes there. Another vCPU that changes code needs one; more than a few
/// are a guest that will not get on.
constexpr unsigned k_most_retries = 64;

CodeSize code_size_of(unsigned bits) {
  return bits == 64 ? CodeSize::bits64 : bits == 32 ? CodeSize::bits32 : CodeSize::bits16;
}
}  // namespace

/// The instruction at RIP, read through the guest's own translation. Nothing: its bytes are not (or no longer) one of
/// `expected`, or not readable; see try_again().
std::optional<Instruction> Vcpu::fetch(InstructionSet expected) {
  u8 bytes[k_longest_instruction];
  const unsigned bits = code_size();
  u64 address = context_.regs.rip;
  if (bits != 64) address = static_cast<u32>(context_.segment(arch::SegmentName::cs).base + static_cast<u32>(address));
  const walk::Privilege privilege = context_.cpl() == 3 ? walk::Privilege::user : walk::Privilege::supervisor;
  const walk::Fetched got = walk::fetch_instruction(environment_.guest_memory(), paging_mode(), privilege, Gva{address}, bytes);
  return decode({bytes, got.size}, code_size_of(bits), expected);
}

std::optional<u64> Vcpu::decoded_next_rip(InstructionKind expected) {
  const std::optional<Instruction> instruction = fetch(InstructionSet{expected});
  if (!instruction) return std::nullopt;
  return rip_after(instruction->length);
}

/// The bytes at RIP are not the instruction that exited, or cannot be read: other bytes lie there by now, or the processor has used
/// a translation that the guest's tables no longer hold. It tries again without its old translations, and so runs what is there
/// or takes the page fault. If the same exit comes again and again, the guest is stopped.
void Vcpu::try_again() {
  if (context_.regs.rip != retried_rip_) retries_ = 0;
  retried_rip_ = context_.regs.rip;
  if (++retries_ > k_most_retries) return crash(CrashCause::unreadable_instruction);
  context_.drop_translations();
}

/// An operand, or a table on the way to it, lies where the guest has no memory.
void Vcpu::unreachable(Gpa gpa, bool write) {
  arch::MemoryFault fault;
  fault.gpa = gpa;
  fault.write = write;
  this->fault(fault);
}

void Vcpu::fault(const arch::MemoryFault& fault) {
  const MemoryVerdict verdict = environment_.memory_fault(fault);
  if (verdict == MemoryVerdict::stop) crash(CrashCause::memory_hole);
  waiting_ = verdict == MemoryVerdict::wait;
}

u64 Vcpu::rip_after(u8 length) const {
  const u64 next = context_.regs.rip + length;
  return code_size() == 64 ? next : static_cast<u32>(next);
}

walk::Mode Vcpu::paging_mode() {
  const arch::ControlState c = context_.control();
  walk::PagingRegisters registers{c.cr0, c.cr3, c.cr4, c.efer, 0, {}};
  if ((c.cr4 & arch::cr4::pae) != 0 && (c.efer & arch::efer::lma) == 0 && (c.cr0 & arch::cr0::pg) != 0) {
    // Under nested paging the processor reads the PDPTEs at each walk (APM Vol. 2, 15.25.10), and so do we. It has just
    // fetched through them, so their reserved bits are its business (QEMU sets an accessed bit there, for one).
    Gpa address{c.cr3 & 0xFFFFFFE0};
    for (u64& pdpte : registers.pdptes) {
      pdpte = environment_.guest_memory().read_entry(address, sizeof pdpte).value_or(0) & ~walk::pdpte_reserved_bits(cpuid_.physical_bits());
      address += sizeof pdpte;
    }
  }
  return walk::make_mode(registers, {cpuid_.physical_bits(), true, cpuid_.gigabyte_pages(), cpuid_.is_amd()});
}

void Vcpu::on_cpuid(const Exit& exit) {
  const std::optional<u64> next = next_rip(exit, InstructionKind::cpuid);
  if (!next) return try_again();
  arch::GuestRegisters& r = context_.regs;
  const u32 leaf = static_cast<u32>(r[Gpr::rax]);
  constexpr u32 xsave_leaf = 0xD;
  const u64 cr4 = CpuidPolicy::shows_control_registers(leaf) ? context_.control().cr4 : 0;
  const u64 xcr0 = leaf == xsave_leaf && cpuid_.xcr0_mask() != 0 ? arch::xcr0() & cpuid_.xcr0_mask() : 0;
  const CpuidResult result = cpuid_.lookup(leaf, static_cast<u32>(r[Gpr::rcx]), cr4, xcr0);
  r[Gpr::rax] = result.eax;
  r[Gpr::rbx] = result.ebx;
  r[Gpr::rcx] = result.ecx;
  r[Gpr::rdx] = result.edx;
  complete_instruction(*next);
}

void Vcpu::on_hypercall(const Exit& exit) {
  if (context_.cpl() != 0) return inject_ud();
  const bool vmcall = exit.kind == arch::ExitKind::exception;  // see on_exception()
  const std::optional<u64> next = next_rip(exit, vmcall ? InstructionKind::vmcall : InstructionKind::vmmcall);
  if (!next) return try_again();
  environment_.hypercall(*this);
  complete_instruction(*next);
}

bool Vcpu::on_halt(const Exit& exit) {
  const std::optional<u64> next = next_rip(exit, InstructionKind::hlt);
  if (!next) {
    try_again();
    return false;
  }
  complete_instruction(*next);
  if (context_.event_pending()) return false;
  if ((context_.regs.rflags & arch::rflags::if_) == 0) {
    crash(CrashCause::halted_for_ever);
    return false;
  }
  if (environment_.interrupt_pending()) return false;
  halted_ = true;
  return true;
}

void Vcpu::on_cache_control(const Exit& exit) {
  // Guest memory is write-back and no device bypasses the caches, so there is nothing that a flush could change.
  // QEMU 7.2 reports INVD as WBINVD.
  std::optional<u64> next = next_rip(exit, exit.wbinvd ? InstructionKind::wbinvd : InstructionKind::invd);
  if (!next && exit.wbinvd) next = next_rip(exit, InstructionKind::invd);
  if (!next) return try_again();
  complete_instruction(*next);
}

void Vcpu::on_exception(const Exit& exit) {
  if (exit.vector == arch::vector::mc) arch::panic("machine check while a guest was running");
  if (exit.vector == arch::vector::ud) {
    // VMCALL is an undefined opcode on AMD; we accept it as VMMCALL (docs/architecture.md).
    if (context_.cpl() == 0 && fetch(InstructionSet{InstructionKind::vmcall})) return on_hypercall(exit);
    return inject_ud();
  }
  if (exit.vector == arch::vector::db) return inject_debug(0);  // the processor has set DR6
  if (exit.vector == arch::vector::ac) return inject_fault(Event::exception(exit.vector, 0));
  inject_fault(Event::exception(exit.vector));
}
}  // namespace octavo::vcpu
