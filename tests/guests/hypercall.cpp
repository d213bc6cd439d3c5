// SPDX-License-Identifier: Apache-2.0
// VMMCALL and VMCALL: the version call, unknown numbers, what is preserved, and #UD where they may not be made.
#include "octavo/hypercall.h"

#include "machine.hpp"
#include "tap.hpp"

namespace {
struct Answer {
  u64 rax, rdi;
  bool others_kept;
};

enum class By { vmmcall, vmcall };

#define HYPERCALL_ASM(instruction)                                                                          \
  asm volatile("mov %[r10], %%r10\n mov %[r8], %%r8\n" instruction "\n mov %%r10, %[r10]\n mov %%r8, %[r8]" \
               : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+b"(rbx),                                     \
                 "+c"(rcx), [r10] "+r"(r10), [r8] "+r"(r8)::"r8", "r10", "memory", "cc")

Answer call(By by, u64 number, u64 argument) {
  u64 rax = number, rdi = argument, rsi = 0x51, rdx = 0xD0, rbx = 0xB0, rcx = 0xC0, r10 = 0x10, r8 = 0x88;
  if (by == By::vmmcall)
    HYPERCALL_ASM("vmmcall");
  else
    HYPERCALL_ASM("vmcall");
  return {rax, rdi, rsi == 0x51 && rdx == 0xD0 && rbx == 0xB0 && rcx == 0xC0 && r10 == 0x10};
}

void calls(By by, const char* name) {
  const auto title = [&](const char* what) { return Text(name, ": ", what); };
  const u64 unsupported = u64{0} - OCTAVO_EUNSUPPORTED;
  Answer a{};
  const Fault fault = attempt([&] { a = call(by, OCTAVO_HYPERCALL(OCTAVO_HC_VERSION), 0xAAAA); });
  tap::expect(fault, k_no_fault, title("accepted at CPL 0").c_str());
  if (fault) return;
  tap::equal(a.rax, 0, title("the version call succeeds").c_str());
  tap::equal(a.rdi, OCTAVO_ABI_VERSION, title("RDI is the ABI version").c_str());
  tap::check(a.others_kept, title("RBX RCX RDX RSI R10 are kept").c_str());
  tap::equal(call(by, OCTAVO_HYPERCALL(0xFFFF), 0).rax, unsupported,
             title("an unknown number is -EUNSUPPORTED").c_str());
  tap::equal(call(by, 1, 0).rax, unsupported, title("a number of KVM's is -EUNSUPPORTED").c_str());
  tap::equal(call(by, u64{1} << 32 | OCTAVO_HYPERCALL(0), 0).rax, unsupported,
             title("the upper half of RAX counts").c_str());
  call(by, OCTAVO_HYPERCALL(OCTAVO_HC_CONSOLE_WRITE), '#');
  tap::equal(call(by, OCTAVO_HYPERCALL(OCTAVO_HC_CONSOLE_WRITE), '\n').rax, 0,
             title("a console write succeeds").c_str());
  bool same = true;
  for (unsigned i = 0; i < 1000; ++i)
    same = same && call(by, OCTAVO_HYPERCALL(OCTAVO_HC_VERSION), i).rdi == OCTAVO_ABI_VERSION;
  tap::check(same, title("a thousand calls give a thousand answers").c_str());
}
}  // namespace

void guest_main() {
  if (machine::on_octavo()) {
    calls(By::vmmcall, "VMMCALL");
    calls(By::vmcall, "VMCALL");
  } else {
    expect_fault(x86::k_ud, 0, "VMMCALL without a hypervisor is #UD", [] { call(By::vmmcall, 0, 0); });
    tap::skip("hypercalls", "not on Octavo");
  }
  const Fault fault = expect_user_fault(x86::k_ud, 0, "VMMCALL at CPL 3 is #UD", [] {
    asm volatile("vmmcall" ::"a"(OCTAVO_HYPERCALL_BASE) : "memory");
  });
  tap::check((fault.frame.cs & 3) == 3 && *at<u8>(fault.frame.ip) == 0x0F && *at<u8>(fault.frame.ip + 2) == 0xD9,
             "and RIP is at it");
  expect_user_fault(x86::k_ud, 0, "VMCALL at CPL 3 is #UD", [] {
    asm volatile("vmcall" ::"a"(OCTAVO_HYPERCALL_BASE) : "memory");
  });
}
