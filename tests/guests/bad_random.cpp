// SPDX-License-Identifier: Apache-2.0
// Fuzzing from inside, from a fixed seed: privileged operations with random operands at CPL 0, and random bytes
// executed at CPL 3 in two pages of their own. Whatever an operation changes is put right before the next. The test is
// that the machine goes on.
#include "machine.hpp"
#include "paging.hpp"
#include "random.hpp"
#include "tap.hpp"
#include "timer.hpp"

namespace {
constexpr u64 k_seed = 0x5EED0C7A;
constexpr unsigned k_privileged = 20000, k_user = 5000;

struct State {
  word cr0, cr3, cr4;
  u64 efer;
  x86::TablePointer idt;
  static State take() { return {x86::cr0(), x86::cr3(), x86::cr4(), x86::rdmsr(x86::k_msr_efer), x86::sidt()}; }
  void restore() const {
    x86::cr0(cr0);
    x86::cr4(cr4);
    x86::cr3(cr3);
    x86::wrmsr(x86::k_msr_efer, efer);
    x86::lidt(idt);
    x86::dr7(0x400);
    x86::cr8(0);
    asm volatile("cld" ::: "memory");
  }
};

struct Operation {
  const char* name;
  bool bare;  ///< also on the bare emulator, which spins or breaks on some
  void (*run)(u64 a, u64 b);
};
const Operation operations[] = {
    {"MOV CR0", false, [](u64 a, u64) { x86::cr0((a & ~u64{0x60000000}) | 0x80010033); }},
    {"MOV CR4", false, [](u64 a, u64) { x86::cr4((a & ~bit(17) & ~bit(20) & ~bit(21)) | x86::k_cr4_pae); }},
    {"MOV CR8", true, [](u64 a, u64) { x86::cr8(a); }},
    {"MOV DR0", true, [](u64 a, u64) { x86::dr0(a); }},
    {"MOV DR6", true, [](u64 a, u64) { x86::dr6(a & 0xFFFFFFFF); }},
    {"MOV DR7", true, [](u64 a, u64) { x86::dr7(a & 0xFFFFDC00); }},
    {"XSETBV", true, [](u64 a, u64 b) { x86::xsetbv(static_cast<u32>(b), a); }},
    {"WRMSR", true,
     [](u64 a, u64 b) {
       const u32 msrs[] = {0x174,      0x175,      0x176,      0x277,      0xC0000081, 0xC0000082, 0xC0000084,
                           0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103, 0xC0010114, 0xC0010117};
       x86::wrmsr(msrs[b % (sizeof msrs / sizeof *msrs)], a);
     }},
    {"WRMSR EFER", false,
     [](u64 a, u64) { x86::wrmsr(x86::k_msr_efer, (a & ~u64{x86::k_efer_lma}) | x86::k_efer_lme); }},
    {"RDMSR", true, [](u64 a, u64) { x86::rdmsr(static_cast<u32>(a)); }},
    {"INVLPG", true, [](u64 a, u64) { x86::invlpg(a); }},
    // Beyond the GDT. The null selector is not tried: TCG takes it, and then ends itself ("invalid tss") on the next
    // way up from CPL 3.
    {"LTR", true, [](u64 a, u64) { asm volatile("ltr %w0" ::"r"((a & 0xFF00) | 0x100)
                                                : "memory"); }},
    {"LLDT", true, [](u64 a, u64) { asm volatile("lldt %w0" ::"r"(a)
                                                 : "memory"); }},
    {"MOV FS", true, [](u64 a, u64) { asm volatile("mov %w0, %%fs" ::"r"(a)
                                                   : "memory"); }},
    {"RDPMC", true, [](u64 a, u64) { asm volatile("rdpmc" ::"c"(a)
                                                  : "eax", "edx"); }},
    {"INVLPGA", true, [](u64 a, u64 b) { asm volatile("invlpga %%rax, %%ecx" ::"a"(a), "c"(b)); }},
    {"VMRUN", true, [](u64 a, u64) { asm volatile("vmrun"
                                                  : "+a"(a)::"memory"); }},
    {"CLGI", true,
     [](u64, u64) {
       asm volatile("clgi" ::: "memory");
     }},
    {"WBINVD", true,
     [](u64, u64) {
       asm volatile("wbinvd" ::: "memory");
     }},
    {"INVD", true,
     [](u64, u64) {
       asm volatile("invd" ::: "memory");
     }},
    {"INT", true,
     [](u64 a, u64) {
       if (a & 1)
         asm volatile("int $0x91");
       else
         asm volatile("int $0xFE");
     }},
    {"REP OUTSB", true,
     [](u64 a, u64 b) {
       // Not a hole: the hypervisor ends a guest that touches one. Most of the address space is not mapped at all.
       word from = a < 4 * k_gib ? a % machine::ram_end() : a;
       u64 count = b & 0x1F;
       asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(u16{0x80}) : "memory");
     }},
    {"IN", true, [](u64 a, u64) { x86::in<u32>(static_cast<u16>((a & 0xFF) + 0x2000)); }},
    {"VMMCALL", true, [](u64 a, u64 b) { asm volatile("vmmcall"
                                                      : "+a"(a), "+D"(b)::"memory"); }},
    {"LAR", true, [](u64 a, u64) { asm volatile("lar %w0, %%eax" ::"r"(a)
                                                : "eax", "cc"); }},
    {"HLT with a timer", true,
     [](u64 a, u64) {
       pit::one_shot(2 + (a & 0xFF));
       pic::enable_only(1);
       x86::sti_hlt_cli();
       pic::enable_only(0);
     }},
};
constexpr unsigned k_operations = sizeof operations / sizeof *operations;

void privileged(Random& random) {
  u64 runs[k_operations]{}, faults[k_operations]{};
  const State state = State::take();
  for (unsigned i = 0; i < k_privileged; ++i) {
    const unsigned n = random.below(k_operations);
    const u64 a = random.value(), b = random.value();
    if (machine::bare() && !operations[n].bare) continue;
    ++runs[n];
    if (attempt([&] { operations[n].run(a, b); })) ++faults[n];
    state.restore();
  }
  for (unsigned n = 0; n < k_operations; ++n)
    print("# ", operations[n].name, ": ", runs[n], ", faults ", faults[n], "\n");
  tap::check(x86::cr0() == state.cr0 && x86::cr4() == state.cr4 && x86::rdmsr(x86::k_msr_efer) == state.efer,
             "control registers are as before");
}

constexpr word k_code_page = paging::k_window, k_data_page = k_code_page + k_page;

/// Runs the code page at CPL 3 with interrupts on and nothing else mapped for CPL 3; the timer ends loops.
void random_code(Random& random) {
  const word code = machine::allocate_page(), data = machine::allocate_page();
  paging::map(k_code_page, code, 1);
  paging::map(k_data_page, data, 1);
  guest_pml4[0] = guest_pml4[0] & ~u64{paging::k_user};  // the guest itself is out of reach
  x86::flush_tlb();
  x86::wrmsr(x86::k_msr_sysenter_cs, 0);  // no way up but the IDT: SYSENTER is #GP, SYSCALL (SCE clear) #UD
  u64 by_vector[257]{};
  set_handler(pic::k_base, [](Frame& f) {
    pic::end_of_interrupt(0);
    if (f.cs == k_user_code) abandon(f);
  });
  const State state = State::take();
  for (unsigned i = 0; i < k_user; ++i) {
    for (unsigned j = 0; j < k_page; j += 8) *at<u64>(code + j) = random.next();
    // Often an interesting start: port, CPUID, RDTSC, system calls, VMMCALL, prefixes.
    const u16 starts[] = {0xA20F, 0x310F, 0x050F, 0x340F, 0x010F, 0xF0F3,
                          0xEE66, 0x6CF3, 0xCD90, 0xC766, 0x380F, 0xAE0F};
    if (random.below(2) == 0) *at<u16>(code) = starts[random.below(sizeof starts / sizeof *starts)];
    pic::enable_only(1);
    pit::one_shot(2000);
    const Fault f = attempt_user_call(reinterpret_cast<void (*)(void*)>(k_code_page),
                                      reinterpret_cast<void*>(k_data_page), 2 | x86::k_flag_if);
    pic::enable_only(0);
    ++by_vector[f.vector];
    state.restore();
  }
  u64 total = 0;
  for (unsigned v = 0; v < 257; ++v) {
    total += by_vector[v];
    if (by_vector[v] != 0) print("# vector ", v, ": ", by_vector[v], "\n");
  }
  tap::equal(total, k_user, "each random program ended");
  tap::check(by_vector[x86::k_ud] != 0 && by_vector[x86::k_gp] != 0 && by_vector[x86::k_pf] != 0,
             "and #UD, #GP and #PF all came");
}
}  // namespace

void guest_main() {
  print("# seed ", hex(k_seed), "\n");
  if (x86::cpuid(1).ecx & bit(26)) x86::cr4(x86::cr4() | x86::k_cr4_osxsave);
  pic::initialize();
  set_handler(pic::k_base, [](Frame&) { pic::end_of_interrupt(0); });
  Random random(k_seed);
  privileged(random);
  random_code(random);
  const auto vendor = x86::cpuid(0);
  tap::check(vendor.eax != 0 && vendor.ebx != 0, "the machine goes on");
}
