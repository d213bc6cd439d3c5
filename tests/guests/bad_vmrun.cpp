// SPDX-License-Identifier: Apache-2.0
// The instructions of hardware virtualization, which CPUID does not offer to a guest: #UD at both privilege levels, whatever RAX
// says. With SVM switched on, as it is while a guest runs, the processor checks privilege and address first (APM Vol. 3), and
// Octavo does not hide that (docs/CAVEATS.md): there SVM's own instructions may be #GP(0) too, but nothing else.
#include "machine.hpp"
#include "tap.hpp"

namespace {
/// #UD; or, where the processor may check something first, #GP(0).
bool refused(const Fault& f, bool may_be_gp) {
  return (f.vector == x86::k_ud || (may_be_gp && machine::on_octavo() && f.vector == x86::k_gp)) && f.error == 0;
}

const struct {
  const char* name;
  void (*run)(u64 rax);
  bool svm = false;
} instructions[] = {
    {"VMRUN", [](u64 rax) { asm volatile("vmrun"
                                         : "+a"(rax)::"memory"); }, true},
    {"VMLOAD", [](u64 rax) { asm volatile("vmload"
                                          : "+a"(rax)::"memory"); }, true},
    {"VMSAVE", [](u64 rax) { asm volatile("vmsave"
                                          : "+a"(rax)::"memory"); }, true},
    {"STGI",
     [](u64) {
       asm volatile("stgi" ::: "memory");
     }, true},
    {"CLGI",
     [](u64) {
       asm volatile("clgi" ::: "memory");
     }, true},
    {"INVLPGA", [](u64 rax) { asm volatile("invlpga %%rax, %%ecx" ::"a"(rax), "c"(0)
                                           : "memory"); }, true},
    {"SKINIT", [](u64 rax) { asm volatile("skinit" ::"a"(rax)
                                          : "memory"); }, true},
    {"VMXON", [](u64 rax) { asm volatile("vmxon %0" ::"m"(rax)
                                         : "memory", "cc"); }},
    {"VMPTRLD", [](u64 rax) { asm volatile("vmptrld %0" ::"m"(rax)
                                           : "memory", "cc"); }},
    {"VMLAUNCH",
     [](u64) {
       asm volatile("vmlaunch" ::: "memory", "cc");
     }},
    {"VMXOFF",
     [](u64) {
       asm volatile("vmxoff" ::: "memory", "cc");
     }},
    {"RSM",
     [](u64) {
       asm volatile("rsm" ::: "memory");
     }},
    {"MONITOR", [](u64 rax) { asm volatile("monitor" ::"a"(rax), "c"(0), "d"(0)
                                           : "memory"); }},
    {"MWAIT", [](u64) { asm volatile("mwait" ::"a"(0), "c"(0)
                                     : "memory"); }},
};
}  // namespace

void guest_main() {
  const u64 values[] = {0, 0x100000, 0x123, machine::ram_end() + k_gib, bit(51), ~u64{0}};
  for (const auto& i : instructions) {
    if (machine::bare() && i.name[0] == 'M') {
      tap::skip(i.name, "the bare processor has MONITOR");
      continue;
    }
    bool all = true;
    for (const u64 rax : values) {
      const Fault f = attempt([&] { i.run(rax); });
      all = all && refused(f, i.svm && rax != 0);
      if (!refused(f, i.svm && rax != 0)) print("# RAX ", hex(rax), ": ", tap::describe(f).c_str(), "\n");
    }
    tap::check(all, Text(i.name, " at CPL 0 is #UD").c_str());
    const Fault user = attempt_user([&] { i.run(0); });
    tap::check(refused(user, i.svm), Text(i.name, " at CPL 3 is #UD").c_str());
  }
}
