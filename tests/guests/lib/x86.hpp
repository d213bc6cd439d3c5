// SPDX-License-Identifier: Apache-2.0
// The instructions that C++ has no word for. All are `volatile` and clobber memory where they may change what memory
// means.
#pragma once
#include "int.hpp"

namespace x86 {

enum Vector : unsigned {
  k_de = 0,
  k_db = 1,
  k_nmi = 2,
  k_bp = 3,
  k_of = 4,
  k_br = 5,
  k_ud = 6,
  k_nm = 7,
  k_df = 8,
  k_ts = 10,
  k_np = 11,
  k_ss = 12,
  k_gp = 13,
  k_pf = 14,
  k_mf = 16,
  k_ac = 17,
  k_xm = 19,
};

// Page-fault error code, SDM vol. 3 4.7
inline constexpr word k_pf_present = 1, k_pf_write = 2, k_pf_user = 4, k_pf_reserved = 8, k_pf_fetch = 16;

// EFLAGS
inline constexpr word k_flag_tf = 1u << 8, k_flag_if = 1u << 9, k_flag_df = 1u << 10, k_flag_iopl3 = 3u << 12,
                      k_flag_ac = 1u << 18;

// CR0, CR4
inline constexpr word k_cr0_pe = 1, k_cr0_mp = 2, k_cr0_em = 4, k_cr0_ts = 8, k_cr0_ne = 1u << 5, k_cr0_wp = 1u << 16,
                      k_cr0_am = 1u << 18, k_cr0_nw = 1u << 29, k_cr0_cd = 1u << 30, k_cr0_pg = 1u << 31;
inline constexpr word k_cr4_de = 1u << 3, k_cr4_pse = 1u << 4, k_cr4_pae = 1u << 5, k_cr4_pge = 1u << 7,
                      k_cr4_osfxsr = 1u << 9, k_cr4_osxmmexcpt = 1u << 10, k_cr4_vmxe = 1u << 13, k_cr4_smxe = 1u << 14,
                      k_cr4_pcide = 1u << 17, k_cr4_osxsave = 1u << 18;

enum Msr : u32 {
  k_msr_tsc = 0x10,
  k_msr_apic_base = 0x1B,
  k_msr_sysenter_cs = 0x174,
  k_msr_sysenter_esp = 0x175,
  k_msr_sysenter_eip = 0x176,
  k_msr_pat = 0x277,
  k_msr_kvm_wall_clock = 0x4b564d00,
  k_msr_kvm_system_time = 0x4b564d01,
  k_msr_efer = 0xC0000080,
  k_msr_star = 0xC0000081,
  k_msr_lstar = 0xC0000082,
  k_msr_cstar = 0xC0000083,
  k_msr_sfmask = 0xC0000084,
  k_msr_fs_base = 0xC0000100,
  k_msr_gs_base = 0xC0000101,
  k_msr_kernel_gs_base = 0xC0000102,
  k_msr_tsc_aux = 0xC0000103,
  k_msr_vm_cr = 0xC0010114,
  k_msr_vm_hsave_pa = 0xC0010117,
};
inline constexpr u64 k_efer_sce = 1, k_efer_lme = 1 << 8, k_efer_lma = 1 << 10, k_efer_nxe = 1 << 11,
                     k_efer_svme = 1 << 12;

template <typename T>
inline void out(u16 port, T value) {
  if constexpr (sizeof(T) == 1)
    asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
  else if constexpr (sizeof(T) == 2)
    asm volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
  else
    asm volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
template <typename T>
inline T in(u16 port) {
  T value;
  if constexpr (sizeof(T) == 1)
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  else if constexpr (sizeof(T) == 2)
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  else
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline void outb(u16 port, unsigned value) {
  out<u8>(port, static_cast<u8>(value));
}
inline u8 inb(u16 port) {
  return in<u8>(port);
}

struct Cpuid {
  u32 eax, ebx, ecx, edx;
};
inline Cpuid cpuid(u32 leaf, u32 subleaf = 0) {
  Cpuid r;
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}
inline u64 rdmsr(u32 msr) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
  return u64{high} << 32 | low;
}
inline void wrmsr(u32 msr, u64 value) {
  asm volatile("wrmsr" ::"c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}
inline u64 rdtsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
  return u64{high} << 32 | low;
}
inline u64 xgetbv(u32 index) {
  u32 low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index) : "memory");
  return u64{high} << 32 | low;
}
inline void xsetbv(u32 index, u64 value) {
  asm volatile("xsetbv" ::"c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

#define GUEST_REGISTER(name)                                     \
  inline word name() {                                           \
    word value;                                                  \
    asm volatile("mov %%" #name ", %0" : "=r"(value)::"memory"); \
    return value;                                                \
  }                                                              \
  inline void name(word value) {                                 \
    asm volatile("mov %0, %%" #name ::"r"(value) : "memory");    \
  }
GUEST_REGISTER(cr0)
GUEST_REGISTER(cr2)
GUEST_REGISTER(cr3)
GUEST_REGISTER(cr4)
#ifdef __x86_64__
GUEST_REGISTER(cr8)
#endif
GUEST_REGISTER(dr0)
GUEST_REGISTER(dr1)
GUEST_REGISTER(dr2)
GUEST_REGISTER(dr3)
GUEST_REGISTER(dr6)
GUEST_REGISTER(dr7)
#undef GUEST_REGISTER

inline word flags() {
  word value;
  asm volatile("pushf\n pop %0" : "=r"(value)::"memory");
  return value;
}
inline void flags(word value) {
  asm volatile("push %0\n popf" ::"r"(value) : "memory", "cc");
}
inline void cli() {
  asm volatile("cli" ::: "memory");
}
inline void sti() {
  asm volatile("sti" ::: "memory");
}
/// Wait for an interrupt without losing one: STI's shadow covers HLT.
inline void sti_hlt_cli() {
  asm volatile("sti\n hlt\n cli" ::: "memory");
}
inline void invlpg(word address) {
  asm volatile("invlpg (%0)" ::"r"(address) : "memory");
}
inline void flush_tlb() {
  cr3(cr3());
}

struct [[gnu::packed]] TablePointer {
  u16 limit;
  word base;
};
inline void lidt(const TablePointer& p) {
  asm volatile("lidt %0" ::"m"(p) : "memory");
}
inline TablePointer sidt() {
  TablePointer p;
  asm volatile("sidt %0" : "=m"(p));
  return p;
}
[[noreturn]] inline void halt_for_ever() {
  for (;;) asm volatile("cli\n hlt" ::: "memory");
}
}  // namespace x86
