// SPDX-License-Identifier: Apache-2.0
// Every CPUID feature bit that a guest may see, by name: a closed list. A bit that is not here is zero in every guest,
// whatever the processor has. The names are Linux's (arch/x86/include/asm/cpufeatures.h), the numbers SDM 2A's and APM 3's.
#pragma once
#include <span>

#include "lib/int.hpp"

namespace octavo::vcpu::cpuid {

struct Feature {
  u8 bit;
  const char* name;
};

[[nodiscard]] constexpr u32 mask_of(std::span<const Feature> features) {
  u32 mask = 0;
  for (const Feature& feature : features) mask |= u32{1} << feature.bit;
  return mask;
}

// Not here, because something would have to be done for each: DTES64 MONITOR VMX SMX EST TM2 CNXT_ID SDBG XTPR PDCM PCID DCA
// X2APIC TSC_DEADLINE. OSXSAVE mirrors the guest's CR4, HYPERVISOR is always set.
inline constexpr Feature k_leaf_1_ecx[] = {
    {0, "sse3"}, {1, "pclmulqdq"}, {9, "ssse3"}, {12, "fma"}, {13, "cx16"}, {19, "sse4_1"}, {20, "sse4_2"}, {22, "movbe"},
    {23, "popcnt"}, {25, "aes"}, {26, "xsave"}, {28, "avx"}, {29, "f16c"}, {30, "rdrand"}};
inline constexpr u32 k_hypervisor = u32{1} << 31;
inline constexpr u32 k_osxsave = u32{1} << 27;

// Not here: MCE MCA (no machine checks are delivered), APIC (there is none yet: Linux uses the 8259), MTRR, PSN, DS, ACPI, HT, TM, PBE.
inline constexpr Feature k_leaf_1_edx[] = {
    {0, "fpu"}, {1, "vme"}, {2, "de"}, {3, "pse"}, {4, "tsc"}, {5, "msr"}, {6, "pae"}, {8, "cx8"}, {11, "sep"}, {13, "pge"},
    {15, "cmov"}, {16, "pat"}, {17, "pse36"}, {19, "clflush"}, {23, "mmx"}, {24, "fxsr"}, {25, "sse"}, {26, "sse2"}, {27, "ss"}};

// Not here: TSC_ADJUST SGX HLE INVPCID RTM RDT MPX RDT_A INTEL_PT, and AVX512PF/ER, which no supported processor has.
inline constexpr Feature k_leaf_7_ebx[] = {
    {0, "fsgsbase"}, {3, "bmi1"}, {5, "avx2"}, {6, "fdp_excptn_only"}, {7, "smep"}, {8, "bmi2"}, {9, "erms"}, {13, "zero_fcs_fds"},
    {16, "avx512f"}, {17, "avx512dq"}, {18, "rdseed"}, {19, "adx"}, {20, "smap"}, {21, "avx512ifma"}, {23, "clflushopt"},
    {24, "clwb"}, {28, "avx512cd"}, {29, "sha_ni"}, {30, "avx512bw"}, {31, "avx512vl"}};

// Not here: WAITPKG SHSTK LA57 RDPID BUS_LOCK_DETECT KEYLOCKER ENQCMD SGX_LC PKS TME. OSPKE mirrors the guest's CR4.
inline constexpr Feature k_leaf_7_ecx[] = {
    {1, "avx512vbmi"}, {2, "umip"}, {3, "pku"}, {6, "avx512_vbmi2"}, {8, "gfni"}, {9, "vaes"}, {10, "vpclmulqdq"},
    {11, "avx512_vnni"}, {12, "avx512_bitalg"}, {14, "avx512_vpopcntdq"}, {25, "cldemote"}, {27, "movdiri"}, {28, "movdir64b"}};
inline constexpr u32 k_pku = u32{1} << 3;
inline constexpr u32 k_ospke = u32{1} << 4;

// Not here: the SPEC_CTRL family (26, 27, 28, 29, 30, 31), since none of its MSRs is switched; UINTR, AMX, PCONFIG, CET_IBT, HYBRID.
inline constexpr Feature k_leaf_7_edx[] = {
    {4, "fsrm"}, {8, "avx512_vp2intersect"}, {10, "md_clear"}, {14, "serialize"}, {23, "avx512_fp16"}};

inline constexpr Feature k_leaf_7_1_eax[] = {
    {4, "avx_vnni"}, {5, "avx512_bf16"}, {10, "fzrm"}, {11, "fsrs"}, {12, "fsrc"}, {23, "avx_ifma"}};

// Not here: XSAVES (IA32_XSS is not switched), XFD.
inline constexpr Feature k_leaf_d_1_eax[] = {{0, "xsaveopt"}, {1, "xsavec"}, {2, "xgetbv1"}};
inline constexpr u32 k_xsavec = u32{1} << 1;

// Not here: CMP_LEGACY SVM EXTAPIC CR8_LEGACY OSVW IBS SKINIT WDT LWP TCE NODEID_MSR TOPOEXT PERFCTR BPEXT PTSC PERFCTR_LLC MWAITX.
inline constexpr Feature k_extended_1_ecx[] = {
    {0, "lahf_lm"}, {5, "abm"}, {6, "sse4a"}, {7, "misalignsse"}, {8, "3dnowprefetch"}, {11, "xop"}, {16, "fma4"}, {21, "tbm"}};

// Not here: APIC MCE MCA MTRR MP RDTSCP (TSC_AUX is not switched yet). GBPAGES can be withheld by the configuration.
inline constexpr Feature k_extended_1_edx[] = {
    {0, "fpu"}, {1, "vme"}, {2, "de"}, {3, "pse"}, {4, "tsc"}, {5, "msr"}, {6, "pae"}, {8, "cx8"}, {11, "syscall"}, {13, "pge"},
    {15, "cmov"}, {16, "pat"}, {17, "pse36"}, {20, "nx"}, {22, "mmxext"}, {23, "mmx"}, {24, "fxsr"}, {25, "fxsr_opt"},
    {26, "pdpe1gb"}, {29, "lm"}, {30, "3dnowext"}, {31, "3dnow"}};
inline constexpr u32 k_gigabyte_pages = u32{1} << 26;

inline constexpr Feature k_extended_7_edx[] = {{8, "constant_tsc"}};

// Not here: IRPERF INVLPGB RDPRU, the SPEC_CTRL family (IBPB IBRS STIBP SSBD), PPIN, CPPC.
inline constexpr Feature k_extended_8_ebx[] = {{0, "clzero"}, {2, "xsaveerptr"}, {9, "wbnoinvd"}, {26, "ssb_no"}, {29, "btc_no"}};

inline constexpr Feature k_extended_1a_eax[] = {{0, "fp128"}, {1, "movu"}, {2, "fp256"}};
inline constexpr Feature k_extended_21_eax[] = {{0, "no_nested_data_bp"}, {2, "lfence_rdtsc"}, {6, "null_sel_clr_base"}};

// The KVM-compatible leaf, so that stock guests find a clock and skip delays (Documentation/virt/kvm/x86/cpuid.rst).
inline constexpr Feature k_kvm_eax[] = {{0, "clocksource"}, {1, "nop_io_delay"}, {3, "clocksource2"}, {24, "clocksource_stable"}};

// What falls with an XSAVE component that is not offered.
inline constexpr u32 k_needs_avx_1_ecx = 1u << 12 | 1u << 28 | 1u << 29;           // fma avx f16c
inline constexpr u32 k_needs_avx_7_ebx = 1u << 5;                                  // avx2
inline constexpr u32 k_needs_avx_7_ecx = 1u << 9 | 1u << 10;                       // vaes vpclmulqdq
inline constexpr u32 k_needs_avx_7_1_eax = 1u << 4 | 1u << 23;                     // avx_vnni avx_ifma
inline constexpr u32 k_needs_avx_extended_1_ecx = 1u << 11 | 1u << 16;             // xop fma4
inline constexpr u32 k_needs_avx512_7_ebx = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31;
inline constexpr u32 k_needs_avx512_7_ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
inline constexpr u32 k_needs_avx512_7_edx = 1u << 8 | 1u << 23;
inline constexpr u32 k_needs_avx512_7_1_eax = 1u << 5;                             // avx512_bf16
}  // namespace octavo::vcpu::cpuid
