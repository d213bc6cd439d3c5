// SPDX-License-Identifier: Apache-2.0
// EFER and CR0 written so that long mode would contradict itself: each is #GP and changes nothing.
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  const u64 before = x86::rdmsr(x86::k_msr_efer);
  const auto refused = [=](u64 value, const char* name) {
    expect_fault(x86::k_gp, 0, name, [=] { x86::wrmsr(x86::k_msr_efer, value); });
    tap::equal(x86::rdmsr(x86::k_msr_efer), before, "and EFER is as before");
  };
  refused(before & ~x86::k_efer_lme, "clearing LME under paging is #GP");
  refused(0, "clearing everything is #GP");
  refused(before | x86::k_efer_svme, "setting SVME is #GP");
  refused(~u64{0}, "setting everything is #GP");
  for (unsigned b = 1; b < 64; ++b) {
    const u64 value = before ^ bit(b);
    const bool allowed =
        b == 8 || b == 10 || b == 11 || b == 13 || b == 14 || b == 15 || b == 17 || b == 18 || b == 20 || b == 21;
    if (!allowed) refused(value, Text("bit ", b, " is reserved").c_str());
  }
  const Fault f = attempt([=] { x86::wrmsr(x86::k_msr_efer, before & ~x86::k_efer_lma); });
  tap::check(!f || f.vector == x86::k_gp, "LMA cannot be written: #GP or ignored");
  tap::equal(x86::rdmsr(x86::k_msr_efer), before, "and EFER is as before");
  x86::cpuid(0);
  tap::check(true, "long mode goes on");
}
