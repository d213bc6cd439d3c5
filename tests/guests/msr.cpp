// SPDX-License-Identifier: Apache-2.0
// Model-specific registers: those that a guest owns keep what it writes, the rest is #GP.
#include "machine.hpp"
#include "tap.hpp"

using x86::rdmsr;
using x86::wrmsr;

namespace {
Fault try_write(u32 msr, u64 value) {
  return attempt([=] { wrmsr(msr, value); });
}

void keeps(u32 msr, const char* name, u64 value) {
  u64 read = 0;
  const Fault fault = attempt([&] {
    const u64 before = rdmsr(msr);
    wrmsr(msr, value);
    x86::cpuid(0);  // an exit in between
    read = rdmsr(msr);
    wrmsr(msr, before);
  });
  if (fault)
    tap::expect(fault, k_no_fault, Text(name, " can be written and read").c_str());
  else
    tap::equal(read, value, Text(name, " keeps what is written").c_str());
}

void efer() {
  const u64 before = rdmsr(x86::k_msr_efer);
  tap::equal(before & (x86::k_efer_lme | x86::k_efer_lma), x86::k_efer_lme | x86::k_efer_lma,
             "EFER says long mode is enabled and active");
  tap::equal(before & x86::k_efer_svme, 0, "EFER.SVME reads 0");
  expect_no_fault("EFER.SCE and NXE can be set",
                  [=] { wrmsr(x86::k_msr_efer, before | x86::k_efer_sce | x86::k_efer_nxe); });
  tap::equal(rdmsr(x86::k_msr_efer), before | x86::k_efer_sce | x86::k_efer_nxe, "and read back");
  wrmsr(x86::k_msr_efer, before);
  tap::equal(rdmsr(x86::k_msr_efer), before, "and can be cleared");
  const u64 reserved[] = {bit(1), bit(9), bit(63)};
  for (const u64 value : reserved) {
    const Fault fault = try_write(x86::k_msr_efer, before | value);
    tap::check_or(fault.vector == x86::k_gp && fault.error == 0, !fault && machine::bare(), Deviation::efer_unchecked,
                  Text("EFER with the reserved bit ", hex(value), " is #GP").c_str());
    tap::equal(rdmsr(x86::k_msr_efer), before, "and EFER is as before");
  }
  const Fault lme = try_write(x86::k_msr_efer, before & ~x86::k_efer_lme);
  tap::check_or(lme.vector == x86::k_gp, !lme && machine::bare(), Deviation::efer_unchecked,
                "clearing LME under paging is #GP");
  if (!lme) wrmsr(x86::k_msr_efer, before);
  if (machine::on_octavo()) {
    tap::expect(try_write(x86::k_msr_efer, before | x86::k_efer_svme), x86::k_gp, 0,
                "setting SVME, which CPUID does not offer, is #GP");
    tap::expect(attempt([] { wrmsr(x86::k_msr_vm_hsave_pa, 0x1000); }), x86::k_gp, 0, "VM_HSAVE_PA is #GP");
  } else
    tap::skip("SVME and VM_HSAVE_PA", "the bare processor has SVM");
}

void bases() {
  static const u64 data[2] = {0x1111222233334444, 0x5555666677778888};
  u64 through_fs = 0, through_gs = 0;
  wrmsr(x86::k_msr_fs_base, address_of(data[0]));
  wrmsr(x86::k_msr_gs_base, address_of(data[1]));
  x86::cpuid(0);
  asm volatile("mov %%fs:0, %0" : "=r"(through_fs));
  asm volatile("mov %%gs:0, %0" : "=r"(through_gs));
  tap::equal(through_fs, data[0], "FS:0 is at FS_BASE");
  tap::equal(through_gs, data[1], "GS:0 is at GS_BASE");
  wrmsr(x86::k_msr_kernel_gs_base, address_of(data[0]));
  asm volatile("swapgs" ::: "memory");
  x86::cpuid(0);
  asm volatile("mov %%gs:0, %0" : "=r"(through_gs));
  tap::equal(through_gs, data[0], "SWAPGS brings KERNEL_GS_BASE");
  tap::equal(rdmsr(x86::k_msr_kernel_gs_base), address_of(data[1]), "and leaves the other there");
  const u64 non_canonical = 0x0000900000000000;
  const u32 addresses[] = {x86::k_msr_fs_base, x86::k_msr_gs_base, x86::k_msr_kernel_gs_base};
  for (const u32 msr : addresses) {
    const Fault fault = try_write(msr, non_canonical);
    tap::check_or(fault.vector == x86::k_gp && fault.error == 0, !fault, Deviation::msr_non_canonical,
                  Text("a non-canonical address in ", hex(msr), " is #GP").c_str());
    wrmsr(msr, 0);
  }
}

void pat() {
  const u64 before = rdmsr(x86::k_msr_pat);
  tap::equal(before, 0x0007040600070406, "PAT has its power-on value");
  keeps(x86::k_msr_pat, "PAT", 0x0106040500070406);
  tap::equal(rdmsr(x86::k_msr_pat), before, "and is restored");
  const Fault fault = try_write(x86::k_msr_pat, 2);
  tap::check_or(fault.vector == x86::k_gp, !fault, Deviation::msr_pat_invalid_type, "the memory type 2 in PAT is #GP");
  wrmsr(x86::k_msr_pat, before);
}

void time() {
  const u64 a = rdmsr(x86::k_msr_tsc), b = x86::rdtsc(), c = rdmsr(x86::k_msr_tsc);
  tap::check_or(a <= b && b <= c && c != 0, a == 0 && c == 0 && machine::bare(), Deviation::msr_tsc,
                "the TSC by RDMSR and by RDTSC is one clock");
  if (!(x86::cpuid(0x80000001).edx & bit(27))) return tap::skip("RDTSCP", "not offered");
  wrmsr(x86::k_msr_tsc_aux, 0x12345);
  u32 low, high, aux;
  const Fault fault = attempt([&] { asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux)::"memory"); });
  tap::expect(fault, k_no_fault, "RDTSCP runs");
  if (!fault) tap::equal(aux, 0x12345, "RDTSCP gives TSC_AUX");
  if (!fault) tap::check((u64{high} << 32 | low) >= c, "RDTSCP goes on from RDTSC");
}
}  // namespace

void guest_main() {
  efer();
  bases();
  pat();
  keeps(x86::k_msr_star, "STAR", 0x0018000812345678);
  keeps(x86::k_msr_lstar, "LSTAR", 0xFFFF800000123456);
  keeps(x86::k_msr_cstar, "CSTAR", 0xFFFF800000654321);
  keeps(x86::k_msr_sfmask, "SFMASK", 0x47700);
  keeps(x86::k_msr_sysenter_cs, "SYSENTER_CS", 0x10);
  keeps(x86::k_msr_sysenter_esp, "SYSENTER_ESP", 0xFFFF8000ABCDEF00);
  keeps(x86::k_msr_sysenter_eip, "SYSENTER_EIP", 0xFFFF800012345678);
  time();
  const u32 unknown[] = {0x00000BAD, 0x4F430000, 0xC0000BAD, 0xC001FFFF, 0xFFFFFFFF};
  for (const u32 msr : unknown) {
    u64 read = 1;
    const Fault r = attempt([&] { read = rdmsr(msr); }), w = try_write(msr, 0);
    tap::check_or(r.vector == x86::k_gp && r.error == 0, !r && read == 0 && machine::bare(), Deviation::msr_unknown,
                  Text("reading the unknown MSR ", hex(msr), " is #GP").c_str());
    tap::check_or(w.vector == x86::k_gp && w.error == 0, !w && machine::bare(), Deviation::msr_unknown,
                  Text("writing the unknown MSR ", hex(msr), " is #GP").c_str());
  }
  expect_user_fault(x86::k_gp, 0, "RDMSR at CPL 3 is #GP", [] { rdmsr(x86::k_msr_efer); });
  expect_user_fault(x86::k_gp, 0, "WRMSR at CPL 3 is #GP", [] { wrmsr(x86::k_msr_fs_base, 0); });
}
