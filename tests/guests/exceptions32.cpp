// SPDX-License-Identifier: Apache-2.0
// What only 32-bit code can raise: #OF by INTO, #BR by BOUND, segment types and presence, and a round through CPL 3.
#include "machine.hpp"
#include "tap.hpp"

namespace {
inline u8 byte_before(word ip) {
  return *at<u8>(ip - 1);
}

void descriptor(u64 value) {
  guest_gdt[7] = value;
}
constexpr auto load_es = [] { asm volatile("mov %0, %%es" ::"r"(u32{k_spare_selector})); };
}  // namespace

void guest_main() {
  Fault f = expect_fault(x86::k_of, 0, "INTO with OF set is #OF", [] {
    asm volatile("movb $0x7F, %%al\n incb %%al\n into" ::: "eax", "cc");
  });
  tap::equal(byte_before(f.frame.ip), 0xCE, "with EIP behind it");
  expect_no_fault("INTO with OF clear goes on", [] { asm volatile("xor %%eax, %%eax\n into" ::: "eax", "cc"); });
  static const u32 bounds[2] = {1, 5};
  f = expect_fault(x86::k_br, 0, "BOUND outside of its bounds is #BR",
                   [] { asm volatile("bound %0, %1" ::"r"(6), "m"(bounds)); });
  tap::equal(*at<u8>(f.frame.ip), 0x62, "with EIP at it");
  expect_no_fault("BOUND inside goes on", [] { asm volatile("bound %0, %1" ::"r"(5), "m"(bounds)); });
  f = expect_fault(x86::k_de, 0, "DIV by zero is #DE", [] {
    asm volatile("xor %%ecx, %%ecx\n div %%ecx" ::: "eax", "ecx", "edx");
  });
  tap::equal(*at<u8>(f.frame.ip), 0xF7, "with EIP at it");
  expect_fault(x86::k_ud, 0, "UD2 is #UD", [] { asm volatile("ud2"); });
  descriptor(0x00CF12000000FFFF);
  expect_fault(x86::k_np, k_spare_selector, "a data segment that is not present is #NP", load_es);
  descriptor(0x00CF98000000FFFF);
  expect_fault(x86::k_gp, k_spare_selector, "an execute-only segment in ES is #GP", load_es);
  descriptor(0x00CF90000000FFFF);
  expect_fault(x86::k_gp, k_spare_selector, "a read-only segment in SS is #GP",
               [] { asm volatile("mov %0, %%ss" ::"r"(u32{k_spare_selector})); });
  expect_no_fault("a read-only segment in ES is fine", load_es);
  asm volatile("mov %0, %%es" ::"r"(u32{k_data}));
  f = expect_user_fault(x86::k_gp, 0, "CLI at CPL 3 is #GP", [] { asm volatile("cli"); });
  tap::check(f.frame.cs == k_user_code && f.frame.ss == k_user_data, "with CPL 3's CS and SS");
  f = expect_user_fault(x86::k_of, 0, "INTO at CPL 3 is #OF", [] {
    asm volatile("movb $0x7F, %%al\n incb %%al\n into" ::: "eax", "cc");
  });
  tap::equal(byte_before(f.frame.ip), 0xCE, "with EIP behind it");
  tap::expect(attempt_user([] { x86::cpuid(0); }), k_no_fault, "CPUID at CPL 3 works in 32 bits too");
}
