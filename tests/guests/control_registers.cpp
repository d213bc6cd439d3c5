// SPDX-License-Identifier: Apache-2.0
// CR0, CR2, CR3, CR4, CR8, XCR0 and the debug registers: what is written is what works, what is invalid is #GP and
// changes nothing.
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"

namespace {
constexpr word k_va = paging::k_window;

void cr0() {
  const word before = x86::cr0(), frame = machine::allocate_page();
  tap::check((before & 0x80000011) == 0x80000011, "CR0 has PE, ET and PG");
  paging::map(k_va, frame, 1, paging::k_present);
  const auto write = [] { *at(k_va) = 1; };
  expect_fault(x86::k_pf, 3, "with WP a read-only page cannot be written at CPL 0", write);
  x86::cr0(before & ~x86::k_cr0_wp);
  expect_no_fault("without WP it can", write);
  tap::equal(x86::cr0(), before & ~x86::k_cr0_wp, "CR0 reads without WP");
  x86::cr0(before);
  expect_fault(x86::k_pf, 3, "with WP again it cannot", write);
  paging::unmap(k_va);

  x86::cr0(before | x86::k_cr0_ts);
  x86::cpuid(0);
  tap::check(x86::cr0() & x86::k_cr0_ts, "TS can be set");
  asm volatile("clts");
  tap::equal(x86::cr0(), before, "CLTS clears it, and only it");
  u64 machine_status = 0;
  asm volatile("smsw %0" : "=r"(machine_status));
  tap::equal(machine_status & 0xFFFF, before & 0xFFFF, "SMSW reads CR0's low half");
  asm volatile("lmsw %w0" ::"r"(static_cast<u16>(before | x86::k_cr0_ts)));
  tap::check(x86::cr0() & x86::k_cr0_ts, "LMSW sets TS");
  asm volatile("lmsw %w0" ::"r"(static_cast<u16>(0)));
  tap::check(x86::cr0() & x86::k_cr0_pe && !(x86::cr0() & x86::k_cr0_ts), "LMSW of 0 clears TS, but not PE");
  x86::cr0(before);
  x86::cr0(before | x86::k_cr0_cd);
  tap::equal(x86::cr0(), before | x86::k_cr0_cd, "CD can be set");
  x86::cr0(before);
  const auto invalid = [&](word value, const char* name) {
    const Fault f = attempt([=] { x86::cr0(value); });
    tap::check_or(f.vector == x86::k_gp && f.error == 0, !f, Deviation::cr0_unchecked, name);
    x86::cr0(before);
  };
  invalid(before | x86::k_cr0_nw, "NW without CD is #GP");
  invalid(before | bit(32), "a bit above 31 is #GP");
  tap::equal(x86::cr0(), before, "and CR0 is as before");
  expect_user_fault(x86::k_gp, 0, "MOV from CR0 at CPL 3 is #GP", [] { x86::cr0(); });
}

void cr4() {
  const word before = x86::cr4();
  const struct {
    word bits;
    const char* name;
  } valid[] = {{x86::k_cr4_pge, "PGE"}, {x86::k_cr4_pse, "PSE"},
               {x86::k_cr4_de, "DE"},   {x86::k_cr4_osfxsr | x86::k_cr4_osxmmexcpt, "OSFXSR and OSXMMEXCPT"},
               {bit(2), "TSD"},         {bit(8), "PCE"}};
  for (const auto& v : valid) {
    x86::cr4(before | v.bits);
    x86::cpuid(0);
    tap::equal(x86::cr4(), before | v.bits, Text("CR4.", v.name, " can be set").c_str());
    x86::cr4(before);
  }
  tap::equal(x86::cr4(), before, "and cleared");
  x86::cr4(before | bit(2));
  expect_user_fault(x86::k_gp, 0, "with TSD, RDTSC at CPL 3 is #GP", [] { x86::rdtsc(); });
  x86::cr4(before);
  tap::expect(attempt_user([] { x86::rdtsc(); }), k_no_fault, "without, it is not");
  if (machine::bare())
    return tap::skip("CR4 with reserved bits", "QEMU leaves guest mode that it is not in (pitfall 3), and spins");
  const struct {
    word bits;
    bool reserved;
    const char* name;
  } invalid[] = {{x86::k_cr4_vmxe, true, "VMXE, which CPUID does not offer,"},
                 {x86::k_cr4_smxe, true, "SMXE, which CPUID does not offer,"},
                 {x86::k_cr4_pcide, !(x86::cpuid(1).ecx & bit(17)), "PCIDE, which CPUID does not offer,"},
                 {bit(22), !(x86::cpuid(7).ecx & bit(3)), "PKE, which CPUID does not offer,"},
                 {bit(12), !(x86::cpuid(7).ecx & bit(16)), "LA57 under paging"},
                 {bit(15), true, "bit 15"},
                 {bit(26), true, "bit 26"},
                 {bit(31), true, "bit 31"},
                 {bit(32), true, "bit 32"},
                 {bit(63), true, "bit 63"}};
  for (const auto& v : invalid) {
    if (!v.reserved) continue;
    expect_fault(x86::k_gp, 0, Text("CR4 with ", v.name, " is #GP").c_str(), [&] { x86::cr4(before | v.bits); });
    tap::equal(x86::cr4(), before, "and CR4 is as before");
  }
  expect_fault(x86::k_gp, 0, "clearing PAE in long mode is #GP", [&] { x86::cr4(before & ~x86::k_cr4_pae); });
  tap::equal(x86::cr4(), before, "and CR4 is as before");
}

void cr3() {
  const word before = x86::cr3(), frame_a = machine::allocate_page(), frame_b = machine::allocate_page(),
             root = machine::allocate_page();
  *at<u64>(frame_a) = 0xA;
  *at<u64>(frame_b) = 0xB;
  for (unsigned i = 0; i < 512; ++i) at<u64>(root)[i] = guest_pml4[i];
  at<u64>(root)[k_va >> 39] = 0;
  paging::map(k_va, frame_a, 1);
  *paging::entry(root, k_va, 1) = frame_b | paging::k_all;
  bool right = true;
  for (unsigned i = 0; i < 1000; ++i) {
    right = right && *at<u64>(k_va) == 0xA;
    x86::cr3(root);
    right = right && *at<u64>(k_va) == 0xB;
    if (i % 7 == 0) x86::cpuid(0);
    x86::cr3(before);
  }
  tap::check(right, "a thousand times CR3 to other tables and back shows the other frame and back");
  tap::equal(x86::cr3(), before, "CR3 reads what was written");
  *paging::entry(before, k_va, 1) = frame_b | paging::k_all;
  x86::invlpg(k_va);
  tap::equal(*at<u64>(k_va), 0xB, "after INVLPG a changed entry counts");
  *paging::entry(before, k_va, 1) = frame_a | paging::k_all;
  x86::flush_tlb();
  tap::equal(*at<u64>(k_va), 0xA, "and after a write of CR3");
  const word cr4 = x86::cr4();
  x86::cr4(cr4 | x86::k_cr4_pge);
  *paging::entry(before, k_va, 1) = frame_a | paging::k_all | bit(8);
  x86::invlpg(k_va);
  right = *at<u64>(k_va) == 0xA;
  *paging::entry(before, k_va, 1) = frame_b | paging::k_all;
  x86::cr4(cr4);
  tap::check(right && *at<u64>(k_va) == 0xB, "clearing PGE drops global translations");
  paging::unmap(k_va);
  x86::cr2(0x123456789ABC);
  x86::cpuid(0);
  tap::equal(x86::cr2(), 0x123456789ABC, "CR2 is kept over an exit");
}

void cr8() {
  bool kept = true;
  for (word value = 0; value < 16; ++value) {
    x86::cr8(value);
    x86::cpuid(0);
    kept = kept && x86::cr8() == value;
  }
  x86::cr8(0);
  tap::check(kept, "CR8 keeps 0 to 15, also without a local APIC");
  const Fault f = attempt([] { x86::cr8(16); });
  tap::check_or(f.vector == x86::k_gp && f.error == 0, !f, Deviation::cr8_unchecked, "CR8 with bit 4 is #GP");
  x86::cr8(0);
}

void debug_registers() {
  x86::dr0(0x1111111111);
  x86::dr1(0x2222222222);
  x86::dr2(0x3333333333);
  x86::dr3(0x4444444444);
  for (unsigned i = 0; i < 1000; ++i) x86::cpuid(0);
  tap::check(x86::dr0() == 0x1111111111 && x86::dr1() == 0x2222222222 && x86::dr2() == 0x3333333333 &&
                 x86::dr3() == 0x4444444444,
             "DR0 to DR3 are kept over exits");
  tap::equal(x86::dr7(), 0x400, "DR7 starts as 0x400");
  x86::dr7(0x455);
  x86::cpuid(0);
  tap::equal(x86::dr7(), 0x455, "DR7 is kept");
  x86::dr7(0x400);
  x86::dr6(0xFFFF4FF1);
  x86::cpuid(0);
  tap::equal(x86::dr6(), 0xFFFF4FF1, "DR6 is kept");
  x86::dr6(0xFFFF0FF0);
  x86::cr4(x86::cr4() | x86::k_cr4_de);
  expect_fault(x86::k_ud, 0, "with CR4.DE, DR4 is #UD", [] { asm volatile("mov %%db4, %%rax" ::: "rax"); });
  x86::cr4(x86::cr4() & ~x86::k_cr4_de);
  expect_user_fault(x86::k_gp, 0, "MOV from DR0 at CPL 3 is #GP", [] { x86::dr0(); });
}

void xcr0() {
  if (!(x86::cpuid(1).ecx & bit(26))) return tap::skip("XSETBV", "no XSAVE");
  expect_fault(x86::k_ud, 0, "XSETBV without CR4.OSXSAVE is #UD", [] { x86::xsetbv(0, 1); });
  x86::cr4(x86::cr4() | x86::k_cr4_osxsave);
  tap::equal(x86::xgetbv(0), 1, "XCR0 starts as 1");
  const u64 offered = x86::cpuid(0xD).eax & 7;
  x86::xsetbv(0, offered);
  x86::cpuid(0);
  tap::equal(x86::xgetbv(0), offered, "XCR0 keeps what CPUID offers");
  const struct {
    u64 value;
    const char* name;
  } invalid[] = {
      {0, "without x87"}, {5, "with AVX but not SSE"}, {bit(62) | 1, "with a bit that CPUID does not offer"}};
  for (const auto& v : invalid)
    expect_fault(x86::k_gp, 0, Text("XCR0 ", v.name, " is #GP").c_str(), [&] { x86::xsetbv(0, v.value); });
  expect_fault(x86::k_gp, 0, "XCR1 is #GP", [] { x86::xsetbv(1, 1); });
  expect_user_fault(x86::k_gp, 0, "XSETBV at CPL 3 is #GP", [] { x86::xsetbv(0, 1); });
  tap::equal(x86::xgetbv(0), offered, "and XCR0 is as before");
  x86::xsetbv(0, 1);
  x86::cr4(x86::cr4() & ~x86::k_cr4_osxsave);
}

void caches() {
  static u64 cell;
  *at<u64>(address_of(cell)) = 0x5AFE;
  expect_no_fault("WBINVD runs", [] { asm volatile("wbinvd" ::: "memory"); });
  expect_no_fault("INVD runs", [] { asm volatile("invd" ::: "memory"); });
  tap::equal(*at<u64>(address_of(cell)), 0x5AFE, "and no write is lost");
  expect_user_fault(x86::k_gp, 0, "WBINVD at CPL 3 is #GP", [] { asm volatile("wbinvd"); });
  expect_user_fault(x86::k_gp, 0, "INVD at CPL 3 is #GP", [] { asm volatile("invd"); });
}
}  // namespace

void guest_main() {
  cr0();
  cr3();
  cr8();
  debug_registers();
  xcr0();
  caches();
  cr4();
}
