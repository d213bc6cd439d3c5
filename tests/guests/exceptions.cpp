// SPDX-License-Identifier: Apache-2.0
// Every exception that 64-bit code can raise, each with the right frame: vector, error code, RIP, CR2, DR6.
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"

namespace {
constexpr word k_non_canonical = 0x0000900000000000;
constexpr word k_page_va = paging::k_window;
inline u8 byte_at(word ip, int n = 0) {
  return *at<u8>(ip + static_cast<word>(n));
}

/// The error code of a fault about IDT gate 0x40 is its index times 8, and 2 for "IDT".
void gate_error(const Fault& f, unsigned vector, const char* name) {
  tap::check_or(f.vector == vector && f.error == 0x40 * 8 + 2, f.vector == vector && f.error == 0x40 * 16 + 2,
                Deviation::gate_error_code, name);
}

void faults() {
  Fault f = expect_fault(x86::k_de, 0, "DIV by zero is #DE", [] {
    asm volatile("xor %%ecx, %%ecx\n div %%ecx" ::: "eax", "ecx", "edx");
  });
  tap::check(byte_at(f.frame.ip) == 0xF7, "with RIP at the DIV");
  f = expect_fault(x86::k_ud, 0, "UD2 is #UD", [] { asm volatile("ud2"); });
  tap::check(byte_at(f.frame.ip) == 0x0F && byte_at(f.frame.ip, 1) == 0x0B, "with RIP at the UD2");
  tap::check(f.frame.cs == k_code && f.frame.ss == k_data && (f.frame.flags & x86::k_flag_if) == 0,
             "and CS, SS, RFLAGS as they were");
  expect_fault(x86::k_gp, 0x1238, "a selector beyond the GDT is #GP with the selector",
               [] { asm volatile("mov %0, %%ds" ::"r"(0x1238)); });
  expect_fault(x86::k_gp, 0, "a non-canonical address is #GP(0)", [] { (void)*at(k_non_canonical); });
  f = attempt([] {
    asm volatile("push %%rbp\n mov %0, %%rbp\n mov (%%rbp), %%rax\n pop %%rbp" ::"r"(k_non_canonical) : "rax");
  });
  tap::check_or(f.vector == x86::k_ss && f.error == 0, f.vector == x86::k_gp, Deviation::stack_non_canonical,
                "the same through RBP is #SS(0)");
  guest_gdt[7] = 0x00CF12000000FFFF;  // data, not present
  expect_fault(x86::k_np, k_spare_selector, "a segment that is not present is #NP with the selector",
               [] { asm volatile("mov %0, %%es" ::"r"(u32{k_spare_selector})); });
  expect_fault(x86::k_ss, k_spare_selector, "loaded into SS it is #SS",
               [] { asm volatile("mov %0, %%ss" ::"r"(u32{k_spare_selector})); });
  set_gate(0x40, false, 0);
  gate_error(attempt([] { asm volatile("int $0x40"); }), x86::k_np,
             "INT through a gate that is not present is #NP with the gate");
  set_gate(0x40, true, 0);
  f = expect_fault(0x40, 0, "INT $0x40 arrives", [] { asm volatile("int $0x40"); });
  tap::check(byte_at(f.frame.ip, -2) == 0xCD, "with RIP behind it");
  gate_error(attempt_user([] { asm volatile("int $0x40"); }), x86::k_gp,
             "INT from CPL 3 through a gate of DPL 0 is #GP with the gate");
  expect_user_fault(x86::k_gp, 0, "HLT at CPL 3 is #GP", [] { asm volatile("hlt"); });
  f = expect_user_fault(x86::k_bp, 0, "INT3 at CPL 3 is #BP", [] { asm volatile("int3"); });
  tap::check(byte_at(f.frame.ip, -1) == 0xCC && f.frame.cs == k_user_code && f.frame.ss == k_user_data,
             "with RIP behind it and CPL 3's CS and SS");
  f = expect_fault(x86::k_bp, 0, "INT3 is #BP", [] { asm volatile("int3"); });
  tap::check(byte_at(f.frame.ip, -1) == 0xCC, "with RIP behind it");
}

void page_faults() {
  const word frame = machine::allocate_page();
  const auto is_address = [](const Fault& f) { tap::equal(f.address, k_page_va + 8, "with CR2"); };
  auto* const cell = at<u64>(k_page_va + 8);
  paging::map(k_page_va, frame, 1, 0);
  is_address(expect_fault(x86::k_pf, 0, "reading what is not present: #PF 0", [=] { (void)*cell; }));
  is_address(expect_fault(x86::k_pf, x86::k_pf_write, "writing what is not present: #PF W", [=] { *cell = 1; }));
  is_address(expect_user_fault(x86::k_pf, x86::k_pf_user, "reading it at CPL 3: #PF U", [=] { (void)*cell; }));
  is_address(expect_user_fault(x86::k_pf, x86::k_pf_user | x86::k_pf_write, "writing it at CPL 3: #PF U W",
                               [=] { *cell = 1; }));
  paging::map(k_page_va, frame, 1, paging::k_present | paging::k_user);
  is_address(expect_fault(x86::k_pf, x86::k_pf_present | x86::k_pf_write, "writing what is read-only: #PF P W",
                          [=] { *cell = 1; }));
  paging::map(k_page_va, frame, 1, paging::k_present | paging::k_write);
  is_address(expect_user_fault(x86::k_pf, x86::k_pf_present | x86::k_pf_user,
                               "reading a supervisor page at CPL 3: #PF P U", [=] { (void)*cell; }));
  x86::wrmsr(x86::k_msr_efer, x86::rdmsr(x86::k_msr_efer) | x86::k_efer_nxe);
  paging::map(k_page_va, frame, 1, paging::k_all | paging::k_nx);
  *at<u8>(frame + 8) = 0xC3;
  is_address(expect_fault(x86::k_pf, x86::k_pf_present | x86::k_pf_fetch, "executing a no-execute page: #PF P I",
                          [] { reinterpret_cast<void (*)()>(k_page_va + 8)(); }));
  paging::map(k_page_va, frame, 1, paging::k_all);
  expect_no_fault("executing it without NX", [] { reinterpret_cast<void (*)()>(k_page_va + 8)(); });
  paging::map(k_page_va, frame | u64{1} << 51, 1, paging::k_all);
  const Fault f = attempt([=] { (void)*cell; });
  tap::check_or(f.vector == x86::k_pf && f.error == (x86::k_pf_present | x86::k_pf_reserved),
                f.vector == x86::k_pf && f.error == x86::k_pf_reserved, Deviation::pf_reserved_without_p,
                "a reserved bit in the entry: #PF P RSVD");
  is_address(f);
  paging::unmap(k_page_va);
}

word trap_ip[64];
u64 trap_dr6[64];
word* handler_sp = nullptr;
unsigned traps = 0;
void on_trap(Frame& f) {
  if (traps < 64) trap_ip[traps] = f.ip, trap_dr6[traps] = x86::dr6(), ++traps;
  x86::dr6(0xFFFF0FF0);
  if (x86::dr7() & 0xFF) x86::dr7(0x400);
}

/// TF set over `instruction`, which starts at label 1 and ends at label 2: a trap with RIP = 2 must come.
#define SINGLE_STEP(name, instruction)                                                                            \
  do {                                                                                                            \
    word end_ = 0, after_ = 0, a_ = 0, b_ = 0, c_ = 0x277, d_ = 0;                                                \
    traps = 0;                                                                                                    \
    asm volatile("lea 2f(%%rip), %0\n lea 3f(%%rip), %1\n pushf\n orl $0x100, (%%rsp)\n popf\n" instruction       \
                 "\n2: nop\n3: pushf\n andl $~0x100, (%%rsp)\n popf"                                              \
                 : "=&r"(end_), "=&r"(after_), "+a"(a_), "+b"(b_), "+c"(c_), "+d"(d_)::"memory", "cc");           \
    const bool right = traps >= 2 && trap_ip[0] == end_ && trap_ip[1] == after_ && (trap_dr6[0] & 0x4000);        \
    tap::check(right, "single step over " name " traps behind it with DR6.BS");                                   \
    if (!right)                                                                                                   \
      print("# traps ", traps, " first at ", hex(trap_ip[0]), " expected ", hex(end_), " DR6 ", hex(trap_dr6[0]), \
            "\n");                                                                                                \
  } while (false)

void debug() {
  set_handler(x86::k_db, on_trap);
  SINGLE_STEP("NOP", "nop");
  SINGLE_STEP("CPUID", "cpuid");
  SINGLE_STEP("RDMSR", "rdmsr");
  SINGLE_STEP("IN", "in $0x80, %%al");
  SINGLE_STEP("OUT", "out %%al, $0x80");
  SINGLE_STEP("MOV from CR0", "mov %%cr0, %%rax");
  SINGLE_STEP("RDTSC", "rdtsc");
  SINGLE_STEP("WBINVD", "wbinvd");

  // A breakpoint on execution is a fault: RIP at the instruction, DR6.B0; on data it is a trap.
  word here = 0;
  asm volatile("lea 1f(%%rip), %0" : "=r"(here));
  traps = 0;
  asm volatile("lea 1f(%%rip), %0\n mov %0, %%dr0\n mov $0x401, %%eax\n mov %%rax, %%dr7\n1: cpuid"
               : "=&r"(here)::"rax", "rbx", "rcx", "rdx", "memory");
  tap::check(traps == 1 && trap_ip[0] == here && (trap_dr6[0] & 0xF) == 1,
             "a breakpoint on CPUID comes before it, with DR6.B0");
  static u64 watched = 0;
  traps = 0;
  x86::dr1(address_of(watched));
  x86::dr7(0x400 | bit(2) | bit(20) | bit(22) | bit(23));  // L1, write, 4 bytes
  x86::cpuid(0);
  asm volatile("lea 1f(%%rip), %0\n movl $1, %1\n1: nop" : "=&r"(here), "=m"(watched)::"memory");
  x86::dr7(0x400);
  tap::check(traps == 1 && trap_ip[0] == here && (trap_dr6[0] & 0xF) == 2,
             "a breakpoint on a write comes after it, with DR6.B1");
  set_handler(x86::k_db, nullptr);
}

void coprocessor() {
  const word cr0 = x86::cr0();
  x86::cr0(cr0 | x86::k_cr0_ts);
  expect_fault(x86::k_nm, 0, "x87 with CR0.TS is #NM", [] { asm volatile("fninit"); });
  x86::cpuid(0);
  asm volatile("clts");
  expect_no_fault("and without it runs", [] { asm volatile("fninit"); });
  x86::cr0(cr0 | x86::k_cr0_em);
  expect_fault(x86::k_nm, 0, "x87 with CR0.EM is #NM", [] { asm volatile("fninit"); });
  x86::cr0(cr0);
  expect_fault(x86::k_mf, 0, "an unmasked x87 division by zero is #MF", [] {
    const u16 control = 0x037B;
    asm volatile("fninit\n fldcw %0\n fld1\n fldz\n fdivrp\n fwait" ::"m"(control));
  });
  asm volatile("fninit");
  expect_fault(x86::k_ud, 0, "SSE without CR4.OSFXSR is #UD", [] { asm volatile("xorps %%xmm0, %%xmm0" ::); });
  x86::cr4(x86::cr4() | x86::k_cr4_osfxsr | x86::k_cr4_osxmmexcpt);
  const Fault f = attempt([] {
    const u32 mxcsr = 0x1D80;  // all masked but division by zero
    const u32 one = 0x3F800000;
    asm volatile("ldmxcsr %0\n movss %1, %%xmm0\n xorps %%xmm1, %%xmm1\n divss %%xmm1, %%xmm0" ::"m"(mxcsr), "m"(one));
  });
  tap::check_or(f.vector == x86::k_xm, !f, Deviation::no_simd_exceptions, "an unmasked SSE division by zero is #XM");
  const u32 mxcsr = 0x1F80;
  asm volatile("ldmxcsr %0" ::"m"(mxcsr));
  x86::cr4(x86::cr4() & ~(x86::k_cr4_osfxsr | x86::k_cr4_osxmmexcpt));
}

void alignment() {
  static u64 cells[2];
  const word cr0 = x86::cr0();
  const auto misaligned = [] { (void)*at<u32>(address_of(cells[0]) + 1); };
  x86::cr0(cr0 | x86::k_cr0_am);
  const Fault f = attempt_user(misaligned, 2 | x86::k_flag_ac);
  tap::check_or(f.vector == x86::k_ac && f.error == 0, !f, Deviation::no_alignment_check,
                "a misaligned access at CPL 3 with AM and AC is #AC(0)");
  tap::expect(attempt_user(misaligned), k_no_fault, "without AC it is not");
  x86::flags(x86::flags() | x86::k_flag_ac);
  expect_no_fault("at CPL 0 it is not", misaligned);
  x86::flags(x86::flags() & ~x86::k_flag_ac);
  x86::cr0(cr0);
}

void double_fault() {
  Fault f = expect_fault(x86::k_df, 0, "#PF on a stack that is not mapped is #DF", [] {
    asm volatile("mov %0, %%rsp\n push %%rax" ::"r"(paging::k_window + 0x100000) : "memory");
  });
  tap::check(
      on_double_fault_stack(reinterpret_cast<word>(f.frame.sp)) == false && f.frame.sp == paging::k_window + 0x100000,
      "its frame has the bad RSP");
  tap::equal(f.address, paging::k_window + 0x100000 - 8, "CR2 is where the push went");
  set_gate(x86::k_pf, false, 0);
  expect_fault(x86::k_df, 0, "#NP while #PF is delivered is #DF", [] { (void)*at(paging::k_window); });
  set_gate(x86::k_gp, false, 0);
  word stack = 0;
  handler_sp = &stack;
  set_handler(x86::k_df, [](Frame& frame) {
    *handler_sp = address_of(frame);
    abandon(frame);
  });
  expect_fault(x86::k_df, 0, "#NP while #GP is delivered is #DF", [] { (void)*at(k_non_canonical); });
  tap::check(on_double_fault_stack(stack), "and is handled on the stack that IST 1 names");
}
}  // namespace

void guest_main() {
  faults();
  page_faults();
  debug();
  coprocessor();
  alignment();
  double_fault();  // last, as it breaks the IDT
}
