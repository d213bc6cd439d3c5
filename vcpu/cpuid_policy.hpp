// SPDX-License-Identifier: Apache-2.0
// What a guest sees of the processor: one CPU with one core, only features on the closed list of cpuid_features.hpp, and the
// control-register bits that follow from them. Built once for a domain; a lookup is a table access. Leaves are described in
// docs/cpuid-and-msrs.md.
#pragma once
#include <array>

#include "lib/int.hpp"

namespace octavo::vcpu {

struct CpuidResult {
  u32 eax = 0;
  u32 ebx = 0;
  u32 ecx = 0;
  u32 edx = 0;
  constexpr bool operator==(const CpuidResult&) const = default;
};

/// The CPUID instruction of this machine, or a recording of one.
using HostCpuid = CpuidResult (*)(u32 leaf, u32 subleaf);

struct CpuidConfig {
  u8 physical_bits = 40;         ///< the guest's MAXPHYADDR; at most the host's is given
  bool gigabyte_pages = true;    ///< offer them in the guest's own tables
  bool protection_keys = false;  ///< the world switch keeps PKRU apart
  bool invariant_tsc = true;     ///< offered if the host's TSC is
};

// XCR0 components (SDM 1 13.1).
inline constexpr u64 k_xcr0_x87 = 1u << 0;
inline constexpr u64 k_xcr0_sse = 1u << 1;
inline constexpr u64 k_xcr0_avx = 1u << 2;
inline constexpr u64 k_xcr0_avx512 = 7u << 5;  ///< opmask, ZMM_Hi256, Hi16_ZMM: all or none
inline constexpr u64 k_xcr0_pkru = 1u << 9;

class CpuidPolicy {
 public:
  void build(HostCpuid host, const CpuidConfig& config);

  /// Does the answer depend on CR4 or XCR0? (SDM 2A, "CPUID": OSXSAVE, OSPKE, the size of the XSAVE area.)
  [[nodiscard]] static constexpr bool shows_control_registers(u32 leaf) { return leaf == 1 || leaf == 7 || leaf == 0xD; }
  /// The answer to CPUID; cr4 and xcr0 are the guest's. Reserved leaves are zero on every vendor.
  [[nodiscard]] CpuidResult lookup(u32 leaf, u32 subleaf, u64 cr4, u64 xcr0) const;

  /// Bits that the guest may set; any other is #GP. LMA is in efer_mask(), though it only follows.
  [[nodiscard]] u64 cr4_mask() const { return cr4_mask_; }
  [[nodiscard]] u64 efer_mask() const { return efer_mask_; }
  [[nodiscard]] u64 xcr0_mask() const { return xcr0_mask_; }
  [[nodiscard]] u8 physical_bits() const { return physical_bits_; }
  [[nodiscard]] bool gigabyte_pages() const;
  [[nodiscard]] bool is_amd() const { return is_amd_; }

  /// Would XSETBV of XCR0 take it (SDM 2C "XSETBV")?
  [[nodiscard]] bool xcr0_valid(u64 xcr0) const;
  /// Bytes of the standard-format XSAVE area for these components.
  [[nodiscard]] u32 xsave_size(u64 xcr0) const;

 private:
  static constexpr u32 k_last_basic = 0xD;
  static constexpr u32 k_extended = 0x8000'0000;
  static constexpr u32 k_last_extended = 0x8000'0021;
  static constexpr u32 k_cache_leaves = 5;
  static constexpr u32 k_xsave_components = 10;

  struct Component {
    u32 size = 0;
    u32 offset = 0;
    bool aligned = false;  ///< to 64 bytes in the compacted format
  };

  void build_basic(HostCpuid host);
  void build_extended(HostCpuid host, const CpuidConfig& config);
  void build_xsave(HostCpuid host, const CpuidConfig& config);
  void drop_dependents();
  void derive_masks();
  [[nodiscard]] CpuidResult basic(u32 leaf, u32 subleaf, u64 cr4, u64 xcr0) const;
  [[nodiscard]] CpuidResult xsave_leaf(u32 subleaf, u64 xcr0) const;
  [[nodiscard]] u32 compacted_size(u64 xcr0) const;
  [[nodiscard]] static CpuidResult hypervisor(u32 leaf);

  std::array<CpuidResult, k_last_basic + 1> basic_{};
  std::array<CpuidResult, k_last_extended - k_extended + 1> extended_{};
  std::array<CpuidResult, k_cache_leaves> cache_{};
  CpuidResult leaf_7_1_{};
  u32 xsave_features_ = 0;
  std::array<Component, k_xsave_components> components_{};
  u64 cr4_mask_ = 0;
  u64 efer_mask_ = 0;
  u64 xcr0_mask_ = 0;
  u8 physical_bits_ = 0;
  bool is_amd_ = false;
};

/// Would MOV CR0 take it: PG wants PE, NW wants CD, bits above 31 are zero (SDM 2B "MOV CR")?
[[nodiscard]] constexpr bool cr0_valid(u64 cr0) {
  constexpr u64 pe = 1u << 0, nw = 1u << 29, cd = 1u << 30, pg = u64{1} << 31;
  if ((cr0 >> 32) != 0) return false;
  if ((cr0 & pg) != 0 && (cr0 & pe) == 0) return false;
  return (cr0 & nw) == 0 || (cr0 & cd) != 0;
}
}  // namespace octavo::vcpu
