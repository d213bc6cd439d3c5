// SPDX-License-Identifier: Apache-2.0
// Control registers, MSRs, CPUID, ports: names for their bits, and the instructions that reach them, nothing else.
// Numbers are those of AMD APM vol. 2 and Intel SDM vol. 3 and 4. Used by arch/ and boot/ only.
#pragma once
#include <optional>

#include "arch/x86/guest_registers.hpp"
#include "arch/x86/parse/cpu_features.hpp"
#include "lib/int.hpp"

namespace octavo::arch {

enum class Msr : u32 {
  apic_base = 0x1b,
  feature_control = 0x3a,
  pat = 0x277,
  vmx_basic = 0x480,
  vmx_procbased_controls = 0x482,
  vmx_procbased_controls2 = 0x48b,
  vmx_ept_vpid_capability = 0x48c,
  tsc_deadline = 0x6e0,
  x2apic_base = 0x800,
  efer = 0xc0000080,
  star = 0xc0000081,
  lstar = 0xc0000082,
  fs_base = 0xc0000100,
  gs_base = 0xc0000101,
  kernel_gs_base = 0xc0000102,
  tsc_aux = 0xc0000103,
  vm_cr = 0xc0010114,
  vm_hsave_pa = 0xc0010117,
};

[[nodiscard]] inline u64 read_msr(Msr msr) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return u64{high} << 32 | low;
}
inline void write_msr(Msr msr, u64 value) {
  asm volatile("wrmsr" : : "c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

// An instruction at label 1 that may fault continues at label 2 instead of in a panic, with the carry flag set.
#define OCTAVO_FIXUP ".pushsection .octavo_fixups, \"a\"\n.quad 1b, 2b\n.popsection\n"

/// The MSR's value, or nothing if the processor answers with #GP.
[[nodiscard]] inline std::optional<u64> try_read_msr(Msr msr) {
  u32 low, high;
  bool faulted;
  asm volatile("clc\n1: rdmsr\n2:\n" OCTAVO_FIXUP : "=a"(low), "=d"(high), "=@ccc"(faulted) : "c"(msr));
  if (faulted) return std::nullopt;
  return u64{high} << 32 | low;
}
/// False if the processor answers with #GP.
[[nodiscard]] inline bool try_write_msr(Msr msr, u64 value) {
  bool faulted;
  asm volatile("clc\n1: wrmsr\n2:\n" OCTAVO_FIXUP
               : "=@ccc"(faulted)
               : "c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
               : "memory");
  return !faulted;
}

#define OCTAVO_CONTROL_REGISTER(number)                                                                       \
  [[nodiscard]] inline u64 read_cr##number() {                                                                \
    u64 value;                                                                                                \
    asm volatile("mov %%cr" #number ", %0" : "=r"(value));                                                    \
    return value;                                                                                             \
  }                                                                                                           \
  inline void write_cr##number(u64 value) { asm volatile("mov %0, %%cr" #number : : "r"(value) : "memory"); }
OCTAVO_CONTROL_REGISTER(0)
OCTAVO_CONTROL_REGISTER(2)
OCTAVO_CONTROL_REGISTER(3)
OCTAVO_CONTROL_REGISTER(4)
#undef OCTAVO_CONTROL_REGISTER

[[nodiscard]] inline CpuidLeaf cpuid(u32 leaf, u32 subleaf = 0) {
  CpuidLeaf result;
  asm volatile("cpuid" : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx) : "a"(leaf), "c"(subleaf));
  return result;
}

[[nodiscard]] inline u64 read_tsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory"); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory"); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory"); }
[[nodiscard]] inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
[[nodiscard]] inline u16 in16(u16 port) {
  u16 value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
[[nodiscard]] inline u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

/// This CPU is done. NMIs may wake it; it halts again.
[[noreturn]] inline void halt_for_ever() {
  for (;;) asm volatile("cli\nhlt" : : : "memory");
}
}  // namespace octavo::arch
