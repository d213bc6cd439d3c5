// SPDX-License-Identifier: Apache-2.0
// What the processor says it is: Octavo's signature, what a guest must not see, and leaves that must agree with each
// other.
#include "machine.hpp"
#include "octavo/hypercall.h"
#include "tap.hpp"

using x86::cpuid;

namespace {
bool same_text(const x86::Cpuid& r, const char (&text)[13]) {
  return __builtin_memcmp(&r.ebx, text, 4) == 0 && __builtin_memcmp(&r.ecx, text + 4, 4) == 0 &&
         __builtin_memcmp(&r.edx, text + 8, 4) == 0;
}

void identity() {
  tap::check(cpuid(1).ecx >> 31, "the hypervisor bit is set");
  const auto octavo = cpuid(OCTAVO_CPUID_SIGNATURE);
  tap::check(same_text(octavo, "OctavoOctavo"), "leaf 0x40000000 is OctavoOctavo");
  tap::check(octavo.eax >= OCTAVO_CPUID_VERSION && octavo.eax < OCTAVO_CPUID_KVM_SIGNATURE,
             "its last leaf is in its block");
  tap::equal(cpuid(OCTAVO_CPUID_VERSION).eax, OCTAVO_ABI_VERSION, "leaf 0x40000001 is the ABI version");
  const auto kvm = cpuid(OCTAVO_CPUID_KVM_SIGNATURE);
  tap::check(same_text(kvm, "KVMKVMKVM\0\0\0"), "leaf 0x40000100 is KVM's");
  tap::check(kvm.eax >= OCTAVO_CPUID_KVM_FEATURES && kvm.eax < OCTAVO_CPUID_KVM_SIGNATURE + 0x100,
             "its last leaf is in its block");
  tap::check(cpuid(OCTAVO_CPUID_KVM_FEATURES).eax & bit(3), "kvmclock (the MSRs at 0x4b564d00) is offered");
  const auto again = cpuid(OCTAVO_CPUID_SIGNATURE, 0x1234);
  tap::check(again.eax == octavo.eax && same_text(again, "OctavoOctavo"), "the subleaf does not matter there");
}

void masked() {
  struct Bit {
    const char* name;
    u32 leaf, subleaf;
    u32 x86::Cpuid::*reg;
    unsigned bit;
  };
  const Bit bits[] = {
      {"VMX", 1, 0, &x86::Cpuid::ecx, 5},
      {"SMX", 1, 0, &x86::Cpuid::ecx, 6},
      {"MONITOR", 1, 0, &x86::Cpuid::ecx, 3},
      {"x2APIC", 1, 0, &x86::Cpuid::ecx, 21},
      {"TSC deadline", 1, 0, &x86::Cpuid::ecx, 24},
      {"APIC", 1, 0, &x86::Cpuid::edx, 9},
      {"SVM", 0x80000001, 0, &x86::Cpuid::ecx, 2},
      {"SKINIT", 0x80000001, 0, &x86::Cpuid::ecx, 12},
      {"extended APIC space", 0x80000001, 0, &x86::Cpuid::ecx, 3},
  };
  for (const auto& b : bits)
    tap::check(!(cpuid(b.leaf, b.subleaf).*b.reg >> b.bit & 1), Text(b.name, " is hidden").c_str());
  const auto svm = cpuid(0x8000000A);
  tap::check((svm.eax | svm.ebx | svm.ecx | svm.edx) == 0, "the SVM leaf 0x8000000A is empty");
  const auto sev = cpuid(0x8000001F);
  tap::check((sev.eax | sev.ebx | sev.ecx | sev.edx) == 0, "the memory-encryption leaf 0x8000001F is empty");
}

void leaves() {
  const auto first = cpuid(0);
  tap::check(first.eax >= 1 && first.eax < 0x100, "leaf 0 gives a plausible last leaf");
  const auto extended = cpuid(0x80000000);
  tap::check(extended.eax >= 0x80000008 && extended.eax < 0x80000100,
             "leaf 0x80000000 gives a plausible last leaf, 0x80000008 or more");
  const u32 physical = cpuid(0x80000008).eax & 0xFF;
  tap::check(physical >= 36 && physical <= 52, "36 to 52 physical address bits");
  tap::check(cpuid(0x80000001).edx >> 29 & 1, "long mode is offered");
  tap::check(cpuid(1).edx & bit(6) && cpuid(1).edx & bit(3), "PAE and PSE are offered");
  u32 user_signature = 0;
  tap::expect(attempt_user([&] { user_signature = cpuid(0).ebx; }), k_no_fault, "CPUID works at CPL 3");
  tap::equal(user_signature, first.ebx, "and says the same there");
}

/// Leaf 0xD: the size that software allocates must be the one that XSAVE writes.
void xsave() {
  if (!(cpuid(1).ecx & bit(26))) return tap::skip("XSAVE leaves", "no XSAVE");
  tap::check(!(cpuid(1).ecx & bit(27)), "OSXSAVE is clear while CR4.OSXSAVE is");
  x86::cr4(x86::cr4() | x86::k_cr4_osxsave | x86::k_cr4_osfxsr);
  tap::check(cpuid(1).ecx & bit(27), "OSXSAVE follows CR4.OSXSAVE");
  const auto d = cpuid(0xD);
  const u64 offered = u64{d.edx} << 32 | d.eax;
  tap::equal(offered & 3, 3, "x87 and SSE are always offered");
  const auto size_of = [](u64 features) {
    u64 size = 576;
    for (unsigned i = 2; i < 63; ++i)
      if (features >> i & 1) {
        const auto c = cpuid(0xD, i);
        if (u64{c.eax} + c.ebx > size) size = u64{c.eax} + c.ebx;
      }
    return size;
  };
  tap::equal(d.ecx, size_of(offered), "leaf 0xD.ECX is the size for all offered features");
  const u64 sets[] = {1, 3, 7, offered};
  for (const u64 xcr0 : sets) {
    if ((xcr0 & ~offered) != 0) continue;
    const Fault fault = attempt([&] { x86::xsetbv(0, xcr0); });
    tap::expect(fault, k_no_fault, Text("XSETBV takes the offered ", hex(xcr0)).c_str());
    tap::equal(cpuid(0xD).ebx, size_of(xcr0), Text("leaf 0xD.EBX is the size for XCR0 = ", hex(xcr0)).c_str());
  }
  if (cpuid(1).ecx & bit(28)) tap::check(offered & 4, "AVX is only offered with its state");
  x86::xsetbv(0, 1);
  x86::cr4(x86::cr4() & ~x86::k_cr4_osxsave);
}
}  // namespace

void guest_main() {
  if (machine::on_octavo()) {
    identity();
    masked();
  } else {
    tap::skip("identity and masked features", "not on Octavo");
  }
  leaves();
  xsave();
}
