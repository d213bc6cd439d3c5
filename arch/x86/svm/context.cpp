// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/context.hpp"

#include <new>

#include "arch/x86/cpu_features.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/svm/permission_maps.hpp"
#include "arch/x86/svm/svm.hpp"

extern "C" void octavo_svm_enter(octavo::arch::GuestRegisters* regs, octavo::u64 guest_vmcb, octavo::u64 host_vmcb);

namespace octavo::arch::svm {
namespace {
// VMCB clean field (APM Vol. 2, 15.15.3): a set bit says "not changed since the last #VMEXIT".
namespace clean {
[[maybe_unused]] inline constexpr u32 intercepts = 1u << 0, permission_maps = 1u << 1, asid = 1u << 2, virtual_interrupt = 1u << 3,
                     nested_paging = 1u << 4, control_registers = 1u << 5, debug_registers = 1u << 6,
                     descriptor_tables = 1u << 7, segments = 1u << 8, cr2 = 1u << 9;
inline constexpr u32 all = (1u << 10) - 1;
}  // namespace clean

constexpr u64 k_pat_at_reset = 0x0007040600070406;
constexpr unsigned k_shadow_patience = 8;

/// The exceptions that we must see: #DB and #AC can loop inside the processor for ever (CVE-2015-5307, CVE-2015-8104), #MC
/// is the machine's business; #UD may be a VMCALL, which we accept as the hypercall that it is on Intel.
constexpr u32 k_intercepted_exceptions = (1u << vector::db) | (1u << vector::ud) | (1u << vector::ac) | (1u << vector::mc);
}  // namespace

Context::Context(Hpa hpa)
    : vmcb_hpa_(hpa + (reinterpret_cast<u64>(&vmcb_) - reinterpret_cast<u64>(this))),
      clean_after_exit_(features().svm.clean_bits ? clean::all : 0) {
  reset();
}

void Context::reset() {
  new (&vmcb_) Vmcb{};  // all zero, and so nothing is clean
  ControlArea& c = vmcb_.control;
  // CR0 and CR4 are checked in software (docs/emulators.md, pitfall 3); CR8 would reach the host's V_IRQ, and a write to it
  // while an interrupt window is open stops QEMU 7.2.
  c.intercept_cr_read = 1u << 8;
  c.intercept_cr_write = 1u << 0 | 1u << 4 | 1u << 8;
  c.intercept_exceptions = k_intercepted_exceptions;
  c.intercept3 = intercept3::intr | intercept3::nmi | intercept3::init | intercept3::rdpmc | intercept3::cpuid |
                 intercept3::invd | intercept3::hlt | intercept3::invlpga | intercept3::ioio | intercept3::msr |
                 intercept3::ferr_freeze | intercept3::shutdown;
  c.intercept4 = intercept4::vmrun | intercept4::vmmcall | intercept4::vmload | intercept4::vmsave | intercept4::stgi |
                 intercept4::clgi | intercept4::skinit | intercept4::wbinvd | intercept4::monitor | intercept4::mwait |
                 intercept4::mwait_armed | intercept4::xsetbv | intercept4::rdpru;
  c.intercept5 = intercept5::invlpgb | intercept5::invlpgb_illegal | intercept5::mcommit | intercept5::tlbsync;
  c.iopm_base = io_permission_map().value();
  c.msrpm_base = msr_permission_map().value();
  c.virtual_interrupt = vintr::masking;
  c.nested_control = 1;
  SaveArea& s = vmcb_.save;
  s.efer = efer::svme;
  s.cr0 = cr0::et | cr0::cd | cr0::nw;
  s.dr6 = 0xFFFF0FF0;
  s.dr7 = 0x400;
  s.rflags = rflags::fixed;
  s.g_pat = k_pat_at_reset;
  regs = GuestRegisters{};
  window_open_ = false;
  shadow_patience_ = 0;
}

const Exit& Context::run() {
  CpuState& cpu = *static_cast<CpuState*>(this_cpu().backend);
  prepare_entry(cpu);
  octavo_svm_enter(&regs, vmcb_hpa_.value(), cpu.host_state);
  const SaveArea& s = vmcb_.save;
  regs[Gpr::rax] = s.rax;
  regs[Gpr::rsp] = s.rsp;
  regs.rip = s.rip;
  regs.rflags = s.rflags;
  vmcb_.control.clean_bits = clean_after_exit_;
  vmcb_.control.tlb_control = static_cast<u8>(TlbControl::none);
  vmcb_.control.event_injection = 0;
  if (window_open_) [[unlikely]] {
    window_open_ = false;
    vmcb_.control.intercept3 &= ~intercept3::vintr;
    vmcb_.control.virtual_interrupt &= ~vintr::irq;
    changed(clean::intercepts | clean::virtual_interrupt);
  }
  if ((vmcb_.control.exit_int_info & event::valid) != 0) [[unlikely]] redeliver();
  if ((vmcb_.control.interrupt_state & 1) != 0) [[unlikely]] {
    shadow_rip_ = s.rip;
    shadow_patience_ = k_shadow_patience;
  }
  translate_exit();
  return exit_;
}

void Context::prepare_entry(CpuState& cpu) {
  SaveArea& s = vmcb_.save;
  s.rax = regs[Gpr::rax];
  s.rsp = regs[Gpr::rsp];
  s.rip = regs.rip;
  s.rflags = regs.rflags;
  if (cpu.flush.wanted || flush_own_) [[unlikely]] ask_for_flush(cpu.flush);
  if (shadow_patience_ > 0) [[unlikely]] --shadow_patience_;
}

void Context::ask_for_flush(FlushRequest& asked) {
  const bool only_own = !asked.wanted || static_cast<u32>(asked.tag) == vmcb_.control.asid;
  const TlbControl flush = only_own && features().svm.flush_by_asid ? TlbControl::flush_asid : TlbControl::flush_all;
  vmcb_.control.tlb_control = static_cast<u8>(flush);
  asked.wanted = flush_own_ = false;
}

/// The exit came while an event was being delivered: deliver it again (APM Vol. 2, 15.7.2). Software interrupts and INT3/INTO
/// are raised anew by the instruction, to which RIP still points.
void Context::redeliver() {
  const u64 info = vmcb_.control.exit_int_info;
  const auto type = static_cast<event::Type>((info & event::type_mask) >> event::type_shift);
  const u8 number = static_cast<u8>(info);
  if (type == event::Type::software_interrupt) return;
  if (type == event::Type::exception && (number == vector::bp || number == vector::of)) return;
  vmcb_.control.event_injection = info;
}

void Context::translate_exit() {
  const ControlArea& c = vmcb_.control;
  const u64 code = c.exit_code;
  exit_.code = code;
  exit_.info1 = c.exit_info1;
  exit_.info2 = c.exit_info2;
  // The most frequent ones first.
  if (code == static_cast<u64>(ExitCode::ioio)) [[likely]] return translate_port();
  exit_.next_rip = features().svm.next_rip ? c.next_rip : 0;
  switch (static_cast<ExitCode>(code)) {
    case ExitCode::npf: return translate_memory_fault();
    case ExitCode::cpuid: exit_.kind = ExitKind::cpuid; return;
    case ExitCode::hlt: exit_.kind = ExitKind::halt; return;
    case ExitCode::msr: exit_.kind = (c.exit_info1 & 1) != 0 ? ExitKind::write_msr : ExitKind::read_msr; return;
    case ExitCode::intr: exit_.kind = ExitKind::interrupt; return;
    case ExitCode::vintr: exit_.kind = ExitKind::interrupt_window; return;
    case ExitCode::vmmcall: exit_.kind = ExitKind::hypercall; return;
    case ExitCode::nmi: exit_.kind = ExitKind::nmi; return;
    case ExitCode::shutdown: exit_.kind = ExitKind::triple_fault; return;
    case ExitCode::xsetbv: exit_.kind = ExitKind::set_xcr; return;
    case ExitCode::invd:
    case ExitCode::wbinvd:
      exit_.kind = ExitKind::cache_control;
      exit_.wbinvd = static_cast<ExitCode>(code) == ExitCode::wbinvd;
      return;
    case ExitCode::pause: exit_.kind = ExitKind::pause; return;
    case ExitCode::invlpg: exit_.kind = ExitKind::invalidate_page; return;
    case ExitCode::rdtsc:
    case ExitCode::rdtscp: exit_.kind = ExitKind::read_tsc; return;
    case ExitCode::rdpmc: exit_.kind = ExitKind::read_pmc; return;
    case ExitCode::task_switch: exit_.kind = ExitKind::task_switch; return;
    case ExitCode::monitor:
    case ExitCode::mwait:
    case ExitCode::mwait_conditional: exit_.kind = ExitKind::monitor_wait; return;
    case ExitCode::vmrun:
    case ExitCode::vmload:
    case ExitCode::vmsave:
    case ExitCode::stgi:
    case ExitCode::clgi:
    case ExitCode::skinit:
    case ExitCode::invlpga:
    case ExitCode::rdpru:
    case ExitCode::invlpgb:
    case ExitCode::invlpgb_illegal:
    case ExitCode::mcommit:
    case ExitCode::tlbsync: exit_.kind = ExitKind::virtualization_instruction; return;
    default: break;
  }
  const auto within = [code](ExitCode first, ExitCode last) {
    return code >= static_cast<u64>(first) && code <= static_cast<u64>(last);
  };
  if (within(ExitCode::exception0, ExitCode::exception31)) {
    exit_.kind = ExitKind::exception;
    exit_.vector = static_cast<u8>(code - static_cast<u64>(ExitCode::exception0));
    exit_.error_code = static_cast<u32>(c.exit_info1);
  } else if (within(ExitCode::cr0_read, ExitCode::dr15_write)) {
    exit_.kind = within(ExitCode::cr0_read, ExitCode::cr15_write) ? ExitKind::control_register : ExitKind::debug_register;
    exit_.reg.number = static_cast<u8>(code & 15);
    exit_.reg.kind = (code & 16) != 0 ? RegisterAccessKind::write : RegisterAccessKind::read;
    // EXITINFO1 bit 63: it was a MOV, bits 3:0 its general register (15.8.1).
    exit_.reg.decoded = features().svm.decode_assists && (c.exit_info1 >> 63) != 0;
    exit_.reg.gpr = static_cast<Gpr>(c.exit_info1 & 15);
  } else if (static_cast<u32>(code) == 0xFFFFFFFF) {  // VMEXIT_INVALID; QEMU stores 32 bits of it
    exit_.kind = ExitKind::invalid_guest_state;
  } else {
    exit_.kind = ExitKind::unknown;
  }
}

/// IOIO's EXITINFO1, APM Vol. 2, 15.10.2.
void Context::translate_port() {
  const u64 info = vmcb_.control.exit_info1;
  exit_.kind = ExitKind::port_io;
  exit_.io.port = static_cast<u16>(info >> 16);
  exit_.io.size = static_cast<u8>((info >> 4) & 7);          // SZ8, SZ16, SZ32: exactly the bytes
  exit_.io.is_in = (info & 1) != 0;
  exit_.io.is_string = (info & 4) != 0;
  if (exit_.io.is_string) {
    exit_.io.is_repeated = (info & 8) != 0;
    exit_.io.address_size = static_cast<u8>(((info >> 7) & 7) << 1);  // A16, A32, A64
  }
  exit_.next_rip = vmcb_.control.exit_info2;
}

/// NPF's EXITINFO1, APM Vol. 2, 15.25.6.
void Context::translate_memory_fault() {
  const u64 info = vmcb_.control.exit_info1;
  exit_.kind = ExitKind::memory;
  exit_.memory.gpa = Gpa{vmcb_.control.exit_info2};
  exit_.memory.linear_valid = false;
  exit_.memory.present = (info & 1) != 0;
  exit_.memory.write = (info & 2) != 0;
  exit_.memory.user = (info & 4) != 0;
  exit_.memory.fetch = (info & 16) != 0;
  exit_.memory.in_guest_tables = (info & (u64{1} << 33)) != 0;
}

ControlState Context::control() const {
  const SaveArea& s = vmcb_.save;
  return {s.cr0, s.cr2, s.cr3, s.cr4, s.efer & ~efer::svme, s.dr6, s.dr7};
}
// A MOV to a control register that the processor does itself drops what it must of the guest's translations; one that we do for
// it does not, so the whole tag goes if a bit has changed that translation depends on. (TS changes at each task switch of some.)
void Context::set_cr0(u64 value) {
  flush_own_ = flush_own_ || ((vmcb_.save.cr0 ^ value) & (cr0::pe | cr0::wp | cr0::cd | cr0::nw | cr0::pg)) != 0;
  vmcb_.save.cr0 = value;
  changed(clean::control_registers);
}
void Context::set_cr2(u64 value) { vmcb_.save.cr2 = value; changed(clean::cr2); }
void Context::set_cr3(u64 value) { vmcb_.save.cr3 = value; changed(clean::control_registers); flush_own_ = true; }
void Context::set_cr4(u64 value) { vmcb_.save.cr4 = value; changed(clean::control_registers); flush_own_ = true; }
void Context::set_efer(u64 value) { vmcb_.save.efer = value | efer::svme; changed(clean::control_registers); flush_own_ = true; }
void Context::set_dr6(u64 value) { vmcb_.save.dr6 = value; changed(clean::debug_registers); }
void Context::set_dr7(u64 value) { vmcb_.save.dr7 = value; changed(clean::debug_registers); }
void Context::set_pat(u64 value) { vmcb_.save.g_pat = value; changed(clean::nested_paging); }

Segment& Context::segment_slot(SegmentName name) {
  SaveArea& s = vmcb_.save;
  switch (name) {
    case SegmentName::es: return s.es;
    case SegmentName::cs: return s.cs;
    case SegmentName::ss: return s.ss;
    case SegmentName::ds: return s.ds;
    case SegmentName::fs: return s.fs;
    case SegmentName::gs: return s.gs;
    case SegmentName::ldtr: return s.ldtr;
    case SegmentName::tr: break;
  }
  return s.tr;
}
Segment Context::segment(SegmentName name) const { return const_cast<Context*>(this)->segment_slot(name); }
void Context::set_segment(SegmentName name, const Segment& segment) {
  segment_slot(name) = segment;
  if (name == SegmentName::ss) vmcb_.save.cpl = static_cast<u8>((segment.attributes >> 5) & 3);
  changed(clean::segments);
}
void Context::set_gdt(const TableRegister& table) {
  vmcb_.save.gdtr.base = table.base;
  vmcb_.save.gdtr.limit = table.limit;
  changed(clean::descriptor_tables);
}
void Context::set_idt(const TableRegister& table) {
  vmcb_.save.idtr.base = table.base;
  vmcb_.save.idtr.limit = table.limit;
  changed(clean::descriptor_tables);
}

bool Context::interrupt_shadow() const {
  if ((vmcb_.control.interrupt_state & 1) != 0) return true;
  return loses_interrupt_shadow() && shadow_patience_ > 0 && regs.rip == shadow_rip_;
}
void Context::clear_interrupt_shadow() {
  vmcb_.control.interrupt_state &= ~u64{1};
  shadow_patience_ = 0;
}

void Context::inject(const Event& e) {
  event::Type type = event::Type::exception;
  if (e.kind == Event::Kind::external_interrupt) type = event::Type::interrupt;
  if (e.kind == Event::Kind::nmi) type = event::Type::nmi;
  u64 field = event::valid | (static_cast<u64>(type) << event::type_shift) | e.vector;
  if (e.error_code) field |= event::has_error_code | (u64{*e.error_code} << 32);
  vmcb_.control.event_injection = field;
}

bool Context::can_take_interrupt() const {
  return (regs.rflags & rflags::if_) != 0 && !event_pending() && !interrupt_shadow();
}

bool Context::request_interrupt_window() {
  // On TCG the window would open before the instruction in the shadow, a HLT as a rule, has run: the guest would take the
  // interrupt and then sleep for ever. HLT exits anyway; for anything else the caller looks again soon.
  if (loses_interrupt_shadow() && (regs.rflags & rflags::if_) != 0 && interrupt_shadow()) return false;
  window_open_ = true;
  vmcb_.control.intercept3 |= intercept3::vintr;
  vmcb_.control.virtual_interrupt |= vintr::irq | vintr::ignore_tpr;
  changed(clean::intercepts | clean::virtual_interrupt);
  return true;
}

void Context::set_tsc_offset(u64 offset) { vmcb_.control.tsc_offset = offset; changed(clean::intercepts); }
void Context::set_nested_root(Hpa root, TlbTag tag) {
  vmcb_.control.nested_cr3 = root.value();
  vmcb_.control.asid = static_cast<u32>(tag);
  changed(clean::nested_paging | clean::asid);
}
}  // namespace octavo::arch::svm
