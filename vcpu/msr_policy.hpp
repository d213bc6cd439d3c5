// SPDX-License-Identifier: Apache-2.0
// Which MSRs a guest may read and write, and what happens then. The list is closed: what is not on it is #GP. Pure: the caller
// keeps the state that an answer names. The table with reasons is docs/cpuid-and-msrs.md.
#pragma once
#include "lib/int.hpp"

namespace octavo::vcpu {

class CpuidPolicy;

/// Numbers (SDM 4, APM 2 appendix A, Linux' Documentation/virt/kvm/x86/msr.rst).
namespace msr {
inline constexpr u32 k_tsc = 0x10;
inline constexpr u32 k_kvm_wall_clock_old = 0x11;
inline constexpr u32 k_kvm_system_time_old = 0x12;
inline constexpr u32 k_platform_id = 0x17;
inline constexpr u32 k_apic_base = 0x1B;
inline constexpr u32 k_ebl_cr_poweron = 0x2A;
inline constexpr u32 k_microcode_revision = 0x8B;
inline constexpr u32 k_sysenter_cs = 0x174;
inline constexpr u32 k_sysenter_esp = 0x175;
inline constexpr u32 k_sysenter_eip = 0x176;
inline constexpr u32 k_mcg_cap = 0x179;
inline constexpr u32 k_mcg_status = 0x17A;
inline constexpr u32 k_misc_enable = 0x1A0;
inline constexpr u32 k_debugctl = 0x1D9;
inline constexpr u32 k_last_branch_first = 0x1DB;
inline constexpr u32 k_last_branch_last = 0x1DE;
inline constexpr u32 k_pat = 0x277;
inline constexpr u32 k_kvm_wall_clock = 0x4B56'4D00;
inline constexpr u32 k_kvm_system_time = 0x4B56'4D01;
inline constexpr u32 k_efer = 0xC000'0080;
inline constexpr u32 k_star = 0xC000'0081;
inline constexpr u32 k_lstar = 0xC000'0082;
inline constexpr u32 k_cstar = 0xC000'0083;
inline constexpr u32 k_sfmask = 0xC000'0084;
inline constexpr u32 k_fs_base = 0xC000'0100;
inline constexpr u32 k_gs_base = 0xC000'0101;
inline constexpr u32 k_kernel_gs_base = 0xC000'0102;
inline constexpr u32 k_syscfg = 0xC001'0010;
inline constexpr u32 k_hwcr = 0xC001'0015;
inline constexpr u32 k_patch_loader = 0xC001'0020;
inline constexpr u32 k_nb_cfg = 0xC001'001F;
inline constexpr u32 k_interrupt_pending = 0xC001'0055;
inline constexpr u32 k_mmio_conf_base = 0xC001'0058;
inline constexpr u32 k_vm_cr = 0xC001'0114;
inline constexpr u32 k_ls_cfg = 0xC001'1020;
inline constexpr u32 k_ic_cfg = 0xC001'1021;
inline constexpr u32 k_dc_cfg = 0xC001'1022;
inline constexpr u32 k_bu_cfg = 0xC001'1023;
inline constexpr u32 k_de_cfg = 0xC001'1029;
inline constexpr u32 k_bu_cfg2 = 0xC001'102A;
inline constexpr u32 k_ex_cfg = 0xC001'102C;
}  // namespace msr

/// The vCPU state that an MSR is. The caller reads it from, or writes it to, where it is kept.
enum class MsrState : u8 {
  none, tsc, efer, pat, star, lstar, cstar, sfmask, fs_base, gs_base, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip,
  kvm_wall_clock,   ///< write: put the wall clock at `value` now; read: the last value written
  kvm_system_time,  ///< write: bit 0 enables, the rest is where the clock of this vCPU goes; read: the last value written
};

struct MsrAnswer {
  enum class Kind : u8 {
    value,               ///< read: the guest gets `value`
    state,               ///< read: the guest gets what `state` holds; write: `state` becomes `value`, which has been checked
    ignore,              ///< write: nothing happens
    general_protection,  ///< #GP(0)
  };
  Kind kind = Kind::general_protection;
  MsrState state = MsrState::none;
  u64 value = 0;
};

/// What bears on the validity of a write.
struct MsrContext {
  u64 cr0 = 0;
  u64 efer = 0;  ///< the guest's, without SVME
};

struct MsrConfig {
  u64 microcode_revision = 0;          ///< as the host's MSR 0x8B reads
  bool lfence_serializing = false;     ///< the hypervisor set DE_CFG bit 1, or the processor needs no setting
};

class MsrPolicy {
 public:
  void build(const CpuidPolicy& cpuid, const MsrConfig& config);
  [[nodiscard]] MsrAnswer read(u32 number) const;
  [[nodiscard]] MsrAnswer write(u32 number, u64 value, const MsrContext& context) const;

 private:
  [[nodiscard]] MsrAnswer write_efer(u64 value, const MsrContext& context) const;

  u64 efer_mask_ = 0;
  u64 microcode_revision_ = 0;
  bool lfence_serializing_ = false;
  bool is_amd_ = false;
};

/// Each byte a memory type that exists: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC- (SDM 3A 11.12.2).
[[nodiscard]] bool pat_valid(u64 pat);
inline constexpr u64 k_pat_at_reset = 0x0007'0406'0007'0406;
}  // namespace octavo::vcpu
