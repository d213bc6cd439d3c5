// SPDX-License-Identifier: Apache-2.0
// Why a guest left: one vocabulary for SVM (APM Vol. 2, appendix C) and VMX (SDM Vol. 3, appendix C). A backend turns its
// hardware's exit into an Exit; nothing above arch/ knows the vendor. Only the members that `kind` names are meaningful.
#pragma once
#include "arch/x86/guest_registers.hpp"

namespace octavo::arch {

enum class ExitKind : u8 {    // SVM                              VMX basic exit reason
  interrupt,                  // INTR 60h                         1
  nmi,                        // NMI 61h                          0 (type NMI)
  interrupt_window,           // VINTR 64h                        7
  exception,                  // 40h + vector                     0
  triple_fault,               // SHUTDOWN 7Fh                     2
  cpuid,                      // 72h                              10
  halt,                       // 78h                              12
  read_msr,                   // MSR 7Ch, EXITINFO1 = 0           31
  write_msr,                  // MSR 7Ch, EXITINFO1 = 1           32
  port_io,                    // IOIO 7Bh                         30
  hypercall,                  // VMMCALL 81h                      18 (VMMCALL there: #UD); VMCALL on SVM: #UD
  control_register,           // 00h..1Fh, 65h                    28
  debug_register,             // 20h..3Fh                         29
  set_xcr,                    // 8Dh                              55
  cache_control,              // INVD 76h, WBINVD 89h             13, 54
  invalidate_page,            // INVLPG 79h                       14
  monitor_wait,               // MONITOR 8Ah, MWAIT 8Bh           39, 36
  pause,                      // 77h                              40
  read_tsc,                   // RDTSC 6Eh, RDTSCP 87h            16, 51
  read_pmc,                   // 6Fh                              15
  task_switch,                // 7Dh                              9
  virtualization_instruction, // VMRUN.. 80h..86h, INVLPGA 7Ah,   19..27, 50, 53
                              // RDPRU 8Eh, INVLPGB.. A0h..A4h: what CPUID does not offer
  memory,                     // NPF 400h, #PF 4Eh under shadow   48, 49, 0 (#PF)
  invalid_guest_state,        // VMEXIT_INVALID −1                33, 34
  unknown,                    // anything else; `code` says what
  count
};

[[nodiscard]] constexpr const char* to_string(ExitKind kind) {
  constexpr const char* names[] = {"interrupt", "nmi", "interrupt-window", "exception", "triple-fault", "cpuid", "halt",
                                   "read-msr", "write-msr", "port-io", "hypercall", "control-register", "debug-register",
                                   "set-xcr", "cache-control", "invalidate-page", "monitor-wait", "pause", "read-tsc",
                                   "read-pmc", "task-switch", "virtualization", "memory", "invalid-state", "unknown"};
  static_assert(sizeof names / sizeof names[0] == static_cast<unsigned>(ExitKind::count));
  return kind < ExitKind::count ? names[static_cast<unsigned>(kind)] : "?";
}

/// An access that nested paging (or shadow paging) stopped.
struct MemoryFault {
  Gpa gpa;                     ///< nested paging: the guest-physical address
  Gva linear;                  ///< shadow paging, and nested paging where the hardware tells
  bool linear_valid = false;
  bool present = false;        ///< a translation was there and forbade the access
  bool write = false;
  bool fetch = false;
  bool user = false;
  bool in_guest_tables = false;  ///< the access was the hardware's own walk of the guest's tables
};

struct PortAccess {
  u16 port = 0;
  u8 size = 0;       ///< bytes: 1, 2, 4
  bool is_in = false;
  bool is_string = false;
  bool is_repeated = false;  ///< string forms only
  u8 address_size = 0;       ///< bytes: 2, 4, 8; string forms only; 0 when the hardware does not say
};

enum class RegisterAccessKind : u8 { write, read, clts, lmsw, smsw };

struct RegisterAccess {
  u8 number = 0;  ///< CRn or DRn
  RegisterAccessKind kind = RegisterAccessKind::write;
  Gpr gpr = Gpr::rax;
  bool decoded = false;  ///< `gpr` and `kind` come from decode assists; else the instruction must be decoded
};

struct Exit {
  ExitKind kind = ExitKind::unknown;
  u8 vector = 0;               ///< exception
  bool wbinvd = false;
  u32 error_code = 0;          ///< exception
  u64 next_rip = 0;            ///< of the instruction that exited; 0 when the hardware does not say; for port_io it always does
  u64 code = 0;                ///< the hardware's own exit code and information, for the trace and the dump
  u64 info1 = 0, info2 = 0;
  MemoryFault memory;
  PortAccess io;
  RegisterAccess reg;
};
}  // namespace octavo::arch
