// SPDX-License-Identifier: Apache-2.0
// The instructions of hardware virtualization, which CPUID does not offer to a guest: #UD at both privilege levels,
// whatever RAX says.
#include "machine.hpp"
#include "tap.hpp"

namespace {
const struct {
  const char* name;
  void (*run)(u64 rax);
} instructions[] = {
    {"VMRUN", [](u64 rax) { asm volatile("vmrun"
                                         : "+a"(rax)::"memory"); }},
    {"VMLOAD", [](u64 rax) { asm volatile("vmload"
                                          : "+a"(rax)::"memory"); }},
    {"VMSAVE", [](u64 rax) { asm volatile("vmsave"
                                          : "+a"(rax)::"memory"); }},
    {"STGI",
     [](u64) {
       asm volatile("stgi" ::: "memory");
     }},
    {"CLGI",
     [](u64) {
       asm volatile("clgi" ::: "memory");
     }},
    {"INVLPGA", [](u64 rax) { asm volatile("invlpga %%rax, %%ecx" ::"a"(rax), "c"(0)
                                           : "memory"); }},
    {"SKINIT", [](u64 rax) { asm volatile("skinit" ::"a"(rax)
                                          : "memory"); }},
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
      all = all && f.vector == x86::k_ud && f.error == 0;
      if (f.vector != x86::k_ud) print("# RAX ", hex(rax), ": ", tap::describe(f).c_str(), "\n");
    }
    tap::check(all, Text(i.name, " at CPL 0 is #UD").c_str());
    const Fault user = attempt_user([&] { i.run(0); });
    tap::check(user.vector == x86::k_ud, Text(i.name, " at CPL 3 is #UD").c_str());
  }
}
