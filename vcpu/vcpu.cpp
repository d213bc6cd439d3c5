// SPDX-License-Identifier: Apache-2.0
#include "vcpu/vcpu.hpp"

#include <cstring>

namespace octavo::vcpu {

using arch::Exit;
using arch::ExitKind;
using arch::Gpr;

Vcpu::Vcpu(arch::GuestContext& context, Environment& environment, mm::TagUsers& users, const Policies& policies,
           void* extended_state, u64 host_tsc_at_birth)
    : context_(context), environment_(environment), users_(users), cpuid_(policies.cpuid), msrs_(policies.msrs), extended_state_(extended_state), tsc_offset_(u64{0} - host_tsc_at_birth) {
  context_.set_tsc_offset(tsc_offset_);
  // A zeroed XSAVE area means initial state but for these two: XRSTOR takes MXCSR, and FXRSTOR both, from the area as they are
  // (SDM Vol. 1, table 10-2 and 13.8.1).
  constexpr u16 control_word = 0x037F;
  constexpr u32 mxcsr = 0x1F80;
  auto* const area = static_cast<u8*>(extended_state_);
  std::memcpy(area, &control_word, sizeof control_word);
  std::memcpy(area + 24, &mxcsr, sizeof mxcsr);
}

/// Here, and not with the other exits, to become part of the loop: with an emulated PC it is the hottest exit of all.
[[gnu::always_inline]] inline void Vcpu::on_port_io(const Exit& exit) {
  const arch::PortAccess& io = exit.io;
  u64& rax = context_.regs[Gpr::rax];
  if (io.is_in) {
    const u32 value = environment_.port_read(io.port, io.size);
    // As every write to a register: 4 bytes clear the upper half, 1 and 2 leave the rest.
    if (io.size == 1) rax = (rax & ~u64{0xFF}) | static_cast<u8>(value);
    else rax = io.size == 2 ? (rax & ~u64{0xFFFF}) | static_cast<u16>(value) : value;
  } else {
    environment_.port_write(io.port, io.size, static_cast<u32>(rax));
  }
  complete_instruction(exit.next_rip);
}

SliceEnd Vcpu::run() {
  if (halted_) {
    if (!environment_.interrupt_pending()) return SliceEnd::halted;
    halted_ = false;
  }
  waiting_ = false;
  const unsigned cpu = arch::cpu_index();
  while (!stop_requested_ && !waiting_) {
    if (environment_.interrupt_pending()) take_interrupts();
    users_.enter(cpu);
    const Exit& exit = context_.run();
    users_.leave(cpu);
    ++counters_.exits[static_cast<unsigned>(exit.kind)];
    trace_.record(context_.regs.rip, exit);
    switch (exit.kind) {
      case ExitKind::interrupt:
      case ExitKind::nmi: return SliceEnd::interrupted;
      case ExitKind::interrupt_window: ++counters_.interrupt_windows; break;
      case ExitKind::port_io:
        if (exit.io.is_string) [[unlikely]] {
          on_string_io(exit);
        } else {
          on_port_io(exit);
        }
        break;
      case ExitKind::cpuid: on_cpuid(exit); break;
      case ExitKind::read_msr: on_read_msr(exit); break;
      case ExitKind::write_msr: on_write_msr(exit); break;
      case ExitKind::hypercall: on_hypercall(exit); break;
      case ExitKind::memory:
        fault(exit.memory);
        // A guest whose events lead to the next exit each would never let the processor look at an interrupt of the host.
        if (context_.event_pending()) return SliceEnd::interrupted;
        break;
      case ExitKind::halt:
        if (on_halt(exit)) return SliceEnd::halted;
        break;
      case ExitKind::control_register: on_control_register(exit); break;
      case ExitKind::set_xcr: on_set_xcr(exit); break;
      case ExitKind::cache_control: on_cache_control(exit); break;
      case ExitKind::exception:
        on_exception(exit);
        if (context_.event_pending()) return SliceEnd::interrupted;
        break;
      case ExitKind::read_pmc: inject_gp(); break;  // no counters are offered: every index is invalid
      case ExitKind::monitor_wait:
      case ExitKind::virtualization_instruction: inject_ud(); break;  // CPUID offers none of them
      case ExitKind::triple_fault: crash(CrashCause::triple_fault); break;
      case ExitKind::invalid_guest_state: on_invalid_state(); break;
      case ExitKind::task_switch: crash(CrashCause::task_switch); break;
      case ExitKind::pause:
      case ExitKind::invalidate_page:
      case ExitKind::read_tsc:
      case ExitKind::debug_register:
      case ExitKind::unknown:
      case ExitKind::count: crash(CrashCause::unhandled_exit); break;
    }
  }
  return waiting_ ? SliceEnd::waiting : SliceEnd::stopped;
}

/// An interrupt is pending at the controller: inject it, or see to it that the guest exits when it can be.
void Vcpu::take_interrupts() {
  if (context_.can_take_interrupt()) {
    context_.inject(arch::Event::interrupt(environment_.acknowledge_interrupt()));
    ++counters_.injected_interrupts;
    return;
  }
  if (!context_.request_interrupt_window()) environment_.interrupt_delayed();
}

void Vcpu::load_on_cpu() {
  arch::load_extended_state(extended_state_, cpuid_.xcr0_mask(), xcr0_);
  arch::load_debug_addresses(debug_addresses_);
}

void Vcpu::save_from_cpu() {
  if (cpuid_.xcr0_mask() != 0) xcr0_ = arch::xcr0() & cpuid_.xcr0_mask();
  arch::save_extended_state(extended_state_, cpuid_.xcr0_mask());
  arch::save_debug_addresses(debug_addresses_);
}

void Vcpu::inject_fault(const arch::Event& event) {
  // Is an event there whose delivery an exit cut short? Faults that make a double fault with it (#PF and the contributory ones)
  // are not intercepted: the processor composes them. What comes here is benign with any other (APM Vol. 2, 8.2.9): it takes the
  // event's place; the guest's handler returns to where that happens again. An interrupt is lost, as on the processor.
  context_.inject(event);
  ++counters_.injected_exceptions;
}

void Vcpu::inject_debug(u64 reasons) {
  const arch::ControlState control = context_.control();
  if (reasons != 0) context_.set_dr6(control.dr6 | reasons);
  if ((control.dr7 & arch::dr7::gd) != 0) context_.set_dr7(control.dr7 & ~arch::dr7::gd);
  inject_fault(arch::Event::exception(arch::vector::db));
}

void Vcpu::crash(CrashCause cause) {
  request_stop();
  environment_.crashed(*this, cause);
}

unsigned Vcpu::code_size() const {
  if (context_.in_64bit_code()) return 64;
  return context_.segment(arch::SegmentName::cs).is_32bit() ? 32 : 16;
}

void Vcpu::print(Sink& sink) {
  const arch::GuestRegisters& r = context_.regs;
  constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                   "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};
  for (unsigned i = 0; i < 16; ++i) format(sink, "{} {:016x}{}", names[i], r.gpr[i], i % 4 == 3 ? "\n" : "  ");
  const arch::ControlState c = context_.control();
  format(sink, "rip {:016x}  rflags {:08x}  cpl {}  code {} bit{}\n", r.rip, r.rflags, context_.cpl(), code_size(),
         halted_ ? "  halted" : "");
  format(sink, "cr0 {:08x}  cr2 {:016x}  cr3 {:016x}  cr4 {:08x}  efer {:04x}  dr6 {:08x}  dr7 {:08x}\n", c.cr0, c.cr2, c.cr3, c.cr4,
         c.efer, c.dr6, c.dr7);
  constexpr const char* segments[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
  for (unsigned i = 0; i < 8; ++i) {
    const arch::Segment s = context_.segment(static_cast<arch::SegmentName>(i));
    format(sink, "{:<4} {:04x} base {:016x} limit {:08x} attr {:04x}{}", segments[i], s.selector, s.base, s.limit, s.attributes,
           i % 2 == 1 ? "\n" : "  ");
  }
  const arch::TableRegister gdt = context_.gdt(), idt = context_.idt();
  format(sink, "gdt  {:016x} limit {:04x}  idt {:016x} limit {:04x}\n", gdt.base, gdt.limit, idt.base, idt.limit);
}
}  // namespace octavo::vcpu
