// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/panic.hpp"

#include <atomic>

#include "arch/x86/console.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/paging.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/power.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/symbols.hpp"
#include "arch/x86/version.hpp"

namespace octavo::arch {
namespace {
constinit PanicHook panic_hook = nullptr;
constinit std::atomic<bool> panicking{false};

constexpr std::string_view k_exception_names[32] = {
    "#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range", "#UD invalid opcode",
    "#NM device not available", "#DF double fault", "coprocessor segment overrun", "#TS invalid TSS", "#NP segment not present",
    "#SS stack fault", "#GP general protection", "#PF page fault", "reserved (15)", "#MF x87 floating point", "#AC alignment check",
    "#MC machine check", "#XM SIMD floating point", "#VE virtualization", "#CP control protection", "reserved (22)", "reserved (23)",
    "reserved (24)", "reserved (25)", "reserved (26)", "reserved (27)", "#HV hypervisor injection", "#VC VMM communication",
    "#SX security", "reserved (31)"};

/// One CPU reports; the others, and a fault in the report itself, stop in silence.
void enter_panic() {
  asm volatile("cli" : : : "memory");
  if (panicking.exchange(true)) halt_for_ever();
  local_apic::stop_other_cpus();
}

[[noreturn]] void leave_panic(Sink& sink) {
  if (const PanicHook hook = panic_hook) hook(sink);
  sink.put("The machine has been stopped.\n");
  exit_machine(ExitCode::panic);
}

void print_head(Sink& sink, std::string_view what) {
  format(sink, "\n*** PANIC on CPU {}: {}\n", cpu_index(), what);
  format(sink, "Octavo {} ({}), image ", version(), git_id());
  for (const u8 byte : build_id()) format(sink, "{:02x}", byte);
  sink.put("\n");
}

void print_control_registers(Sink& sink) {
  format(sink, "CR0 {:016x}  CR2 {:016x}  CR3 {:016x}  CR4 {:016x}\n", read_cr0(), read_cr2(), read_cr3(), read_cr4());
}

void print_page_fault(Sink& sink, u64 error) {
  format(sink, "address {:016x}: {} {}{}{}\n", read_cr2(), (error & 16) != 0 ? "fetch" : (error & 2) != 0 ? "write" : "read",
         (error & 1) != 0 ? "not permitted" : "not mapped", (error & 4) != 0 ? ", from user mode" : "",
         (error & 8) != 0 ? ", reserved bit set in an entry" : "");
}

void print_overflow(Sink& sink) {
  if (is_guard_page(read_cr2())) sink.put("CR2 is in the guard page under a stack: the stack overflowed\n");
}

void print_selector_error(Sink& sink, u64 error) {
  if (error == 0) return;
  const std::string_view table = (error & 2) != 0 ? "IDT" : (error & 4) != 0 ? "LDT" : "GDT";
  format(sink, "caused by {} entry {}{}\n", table, error >> 3, (error & 1) != 0 ? ", external event" : "");
}
}  // namespace

void set_panic_hook(PanicHook hook) { panic_hook = hook; }

void print_backtrace(Sink& sink, u64 rip, u64 rbp) {
  sink.put("backtrace:\n");
  print_symbol(sink, rip);
  constexpr int longest = 32;
  for (int depth = 0; depth < longest; ++depth) {
    if (rbp == 0 || rbp % 8 != 0 || !is_mapped(rbp) || !is_mapped(rbp + 8)) return;
    const u64* frame = reinterpret_cast<const u64*>(rbp);
    if (frame[1] == 0) return;
    print_symbol(sink, frame[1] - 1);  // inside the call, not after it
    if (frame[0] <= rbp) return;       // stacks grow down
    rbp = frame[0];
  }
}

void panic_on_exception(const InterruptFrame& f) {
  enter_panic();
  Sink& sink = console();
  print_head(sink, k_exception_names[f.vector]);
  format(sink, "error code {:x}\n", f.error_code);
  switch (static_cast<Exception>(f.vector)) {
    case Exception::page_fault:
      print_page_fault(sink, f.error_code);
      [[fallthrough]];
    case Exception::double_fault: print_overflow(sink); break;
    case Exception::invalid_tss: case Exception::segment_not_present: case Exception::stack: case Exception::general_protection:
      print_selector_error(sink, f.error_code);
      break;
    default: break;
  }
  format(sink, "RIP {:04x}:{:016x}  RSP {:04x}:{:016x}  RFLAGS {:08x}\n", f.cs, f.rip, f.ss, f.rsp, f.rflags);
  format(sink, "RAX {:016x}  RBX {:016x}  RCX {:016x}  RDX {:016x}\n", f.rax, f.rbx, f.rcx, f.rdx);
  format(sink, "RSI {:016x}  RDI {:016x}  RBP {:016x}  R8  {:016x}\n", f.rsi, f.rdi, f.rbp, f.r8);
  format(sink, "R9  {:016x}  R10 {:016x}  R11 {:016x}  R12 {:016x}\n", f.r9, f.r10, f.r11, f.r12);
  format(sink, "R13 {:016x}  R14 {:016x}  R15 {:016x}\n", f.r13, f.r14, f.r15);
  print_control_registers(sink);
  print_backtrace(sink, f.rip, f.rbp);
  leave_panic(sink);
}

void panic(const char* what) {
  const u64 rbp = reinterpret_cast<u64>(__builtin_frame_address(0));
  enter_panic();
  Sink& sink = console();
  print_head(sink, what);
  format(sink, "RSP {:016x}\n", rbp);
  print_control_registers(sink);
  print_backtrace(sink, reinterpret_cast<u64>(__builtin_return_address(0)) - 1, *reinterpret_cast<const u64*>(rbp));
  leave_panic(sink);
}
}  // namespace octavo::arch
