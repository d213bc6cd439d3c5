// SPDX-License-Identifier: Apache-2.0
// What the processor can do, decoded from CPUID and a few MSRs, and which kind of virtualization follows from it. Pure:
// what was read comes in, names come out; arch/x86/cpu_features.cpp does the reading.
#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::arch {

struct CpuidLeaf {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// The leaves and MSRs that decode_features() looks at. A leaf beyond the processor's highest is all zero.
struct RawFeatures {
  CpuidLeaf leaf_0, leaf_1, leaf_7, leaf_d_0, leaf_d_1, leaf_15, extended_0, extended_1, extended_7, extended_8, extended_a;
  std::array<CpuidLeaf, 3> brand{};   ///< 8000_0002h .. 8000_0004h
  std::optional<u64> vm_cr;           ///< C001_0114h, read when SVM is offered
  std::optional<u64> feature_control; ///< IA32_FEATURE_CONTROL (3Ah), read when VMX is offered
  std::optional<u64> procbased;       ///< IA32_VMX_PROCBASED_CTLS (482h), true controls not needed
  std::optional<u64> procbased2;      ///< IA32_VMX_PROCBASED_CTLS2 (48Bh)
  std::optional<u64> ept_vpid;        ///< IA32_VMX_EPT_VPID_CAP (48Ch)
};

enum class Vendor : u8 { amd, hygon, intel, other };

struct SvmFeatures {
  bool present = false;
  bool disabled = false;         ///< VM_CR.SVMDIS
  bool nested_paging = false, next_rip = false, decode_assists = false, flush_by_asid = false, clean_bits = false, pause_filter = false;
  u32 revision = 0;
  u32 asid_count = 0;            ///< ASIDs are 1 .. asid_count - 1
};

struct VmxFeatures {
  bool present = false;
  bool disabled = false;         ///< IA32_FEATURE_CONTROL is locked without VMX
  bool ept = false, unrestricted_guest = false, vpid = false;
  bool ept_2m = false, ept_1g = false, ept_accessed_dirty = false, ept_execute_only = false;
};

struct Features {
  Vendor vendor = Vendor::other;
  std::array<char, 13> vendor_name{};
  std::array<char, 49> brand_name{};
  u32 family = 0, model = 0, stepping = 0;
  u8 physical_bits = 36, linear_bits = 48;
  bool pages_1g = false, no_execute = false, smep = false, smap = false, umip = false, fsgsbase = false, rdrand = false;
  bool x2apic = false, tsc_deadline = false, invariant_tsc = false, rdtscp = false, hypervisor = false;
  bool xsave = false, xsaveopt = false, xsaves = false;
  u64 xcr0_mask = 0;             ///< the state components that XCR0 may enable
  u32 xsave_size = 0;            ///< bytes for all of xcr0_mask, 0 without XSAVE
  u64 tsc_hz = 0;                ///< from leaf 15h, 0 if it does not say
  SvmFeatures svm;
  VmxFeatures vmx;
};

[[nodiscard]] Features decode_features(const RawFeatures& raw);

/// How guests' memory is virtualized. The order is the order of preference.
enum class PagingMode : u8 { npt, ept, shadow_svm, shadow_vmx, none };
inline constexpr usize k_paging_modes = 4;
[[nodiscard]] std::string_view to_string(PagingMode mode);

struct ModeSet {
  bool npt = false, ept = false, shadow_svm = false, shadow_vmx = false;
  [[nodiscard]] constexpr bool contains(PagingMode mode) const {
    switch (mode) {
      case PagingMode::npt: return npt;
      case PagingMode::ept: return ept;
      case PagingMode::shadow_svm: return shadow_svm;
      case PagingMode::shadow_vmx: return shadow_vmx;
      case PagingMode::none: break;
    }
    return false;
  }
};

struct PagingChoice {
  PagingMode mode = PagingMode::none;
  /// For each mode that was not chosen, why not; empty for the one that was.
  std::array<std::string_view, k_paging_modes> why_not{};
  /// With mode none: one sentence that names what to change.
  std::string_view remedy;
};

/// The best mode that the processor offers, the firmware allows and this build has (`landed`).
[[nodiscard]] PagingChoice choose_paging(const Features& features, const ModeSet& landed);
}  // namespace octavo::arch
