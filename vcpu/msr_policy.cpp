// SPDX-License-Identifier: Apache-2.0
#include "vcpu/msr_policy.hpp"

#include "vcpu/cpuid_policy.hpp"
#include "walk/mode.hpp"

namespace octavo::vcpu {
namespace {
using Kind = MsrAnswer::Kind;

constexpr u64 k_cr0_pg = u64{1} << 31;
constexpr u64 k_efer_lme = 1u << 8;
constexpr u64 k_efer_lma = 1u << 10;

constexpr u64 k_apic_base_disabled = 0xFEE0'0000 | 1u << 8;               // BSP, not enabled
constexpr u64 k_misc_enable_value = 1u << 0 | 1u << 11 | 1u << 12;        // fast strings; no BTS, no PEBS
constexpr u64 k_hwcr_tsc_freq_sel = u64{1} << 24;                         // the TSC counts at P0 (AMD PPR)
constexpr u64 k_de_cfg_lfence_serialize = 1u << 1;
constexpr u64 k_vm_cr_svm_disabled = 1u << 3 | 1u << 4;                   // LOCK, SVMDIS (APM 2 15.30.1)

constexpr MsrAnswer value(u64 v) { return {Kind::value, MsrState::none, v}; }
constexpr MsrAnswer state(MsrState s, u64 v = 0) { return {Kind::state, s, v}; }
constexpr MsrAnswer ignore() { return {Kind::ignore, MsrState::none, 0}; }
constexpr MsrAnswer general_protection() { return {}; }

/// The MSRs that are nothing but a register of the vCPU.
constexpr MsrState state_of(u32 number) {
  switch (number) {
    case msr::k_tsc: return MsrState::tsc;
    case msr::k_efer: return MsrState::efer;
    case msr::k_pat: return MsrState::pat;
    case msr::k_star: return MsrState::star;
    case msr::k_lstar: return MsrState::lstar;
    case msr::k_cstar: return MsrState::cstar;
    case msr::k_sfmask: return MsrState::sfmask;
    case msr::k_fs_base: return MsrState::fs_base;
    case msr::k_gs_base: return MsrState::gs_base;
    case msr::k_kernel_gs_base: return MsrState::kernel_gs_base;
    case msr::k_sysenter_cs: return MsrState::sysenter_cs;
    case msr::k_sysenter_esp: return MsrState::sysenter_esp;
    case msr::k_sysenter_eip: return MsrState::sysenter_eip;
    case msr::k_kvm_wall_clock: case msr::k_kvm_wall_clock_old: return MsrState::kvm_wall_clock;
    case msr::k_kvm_system_time: case msr::k_kvm_system_time_old: return MsrState::kvm_system_time;
    default: return MsrState::none;
  }
}

/// AMD registers of chip configuration that guests adjust for errata: they read 0 and take writes without effect.
constexpr bool is_amd_configuration(u32 number) {
  switch (number) {
    case msr::k_syscfg: case msr::k_patch_loader: case msr::k_nb_cfg: case msr::k_interrupt_pending: case msr::k_mmio_conf_base:
    case msr::k_ls_cfg: case msr::k_ic_cfg: case msr::k_dc_cfg: case msr::k_bu_cfg: case msr::k_bu_cfg2: case msr::k_ex_cfg:
      return true;
    default: return false;
  }
}
}  // namespace

void MsrPolicy::build(const CpuidPolicy& cpuid, const MsrConfig& config) {
  efer_mask_ = cpuid.efer_mask();
  is_amd_ = cpuid.is_amd();
  microcode_revision_ = config.microcode_revision;
  lfence_serializing_ = config.lfence_serializing;
}

MsrAnswer MsrPolicy::read(u32 number) const {
  if (const MsrState s = state_of(number); s != MsrState::none) return state(s);
  switch (number) {
    case msr::k_apic_base: return value(k_apic_base_disabled);
    case msr::k_microcode_revision: return value(microcode_revision_);
    case msr::k_misc_enable: return value(k_misc_enable_value);
    case msr::k_platform_id: case msr::k_ebl_cr_poweron: case msr::k_mcg_cap: case msr::k_mcg_status: case msr::k_debugctl: return value(0);
    case msr::k_hwcr: return is_amd_ ? value(k_hwcr_tsc_freq_sel) : general_protection();
    case msr::k_de_cfg: return is_amd_ ? value(lfence_serializing_ ? k_de_cfg_lfence_serialize : 0) : general_protection();
    case msr::k_vm_cr: return is_amd_ ? value(k_vm_cr_svm_disabled) : general_protection();
    default: break;
  }
  if (number >= msr::k_last_branch_first && number <= msr::k_last_branch_last) return value(0);
  return is_amd_ && is_amd_configuration(number) ? value(0) : general_protection();
}

MsrAnswer MsrPolicy::write(u32 number, u64 v, const MsrContext& context) const {
  const MsrState s = state_of(number);
  switch (s) {
    case MsrState::none: break;
    case MsrState::efer: return write_efer(v, context);
    case MsrState::pat: return pat_valid(v) ? state(s, v) : general_protection();
    case MsrState::lstar: case MsrState::cstar: case MsrState::fs_base: case MsrState::gs_base: case MsrState::kernel_gs_base:
    case MsrState::sysenter_esp: case MsrState::sysenter_eip:
      return walk::is_canonical(v) ? state(s, v) : general_protection();
    case MsrState::sfmask: return (v >> 32) == 0 ? state(s, v) : general_protection();
    default: return state(s, v);
  }
  switch (number) {
    // The APIC cannot be enabled, since there is none; anything else that is written to its base has no effect.
    case msr::k_apic_base: return (v & 1u << 11) == 0 ? ignore() : general_protection();
    case msr::k_microcode_revision: case msr::k_misc_enable: return ignore();
    case msr::k_mcg_status: case msr::k_ebl_cr_poweron: return v == 0 ? ignore() : general_protection();
    // Branch stepping and records are hints to a debugger; the other bits would ask for something that is not there.
    case msr::k_debugctl: return (v & ~u64{3}) == 0 ? ignore() : general_protection();
    case msr::k_hwcr: case msr::k_de_cfg: return is_amd_ ? ignore() : general_protection();
    default: return is_amd_ && is_amd_configuration(number) ? ignore() : general_protection();
  }
}

MsrAnswer MsrPolicy::write_efer(u64 v, const MsrContext& context) const {
  if ((v & ~(efer_mask_ | k_efer_lma)) != 0) return general_protection();
  if (((v ^ context.efer) & k_efer_lme) != 0 && (context.cr0 & k_cr0_pg) != 0) return general_protection();
  // LMA follows LME and CR0.PG; what is written to it is ignored (SDM 4 table 2-2).
  return state(MsrState::efer, (v & ~k_efer_lma) | (context.efer & k_efer_lma));
}

bool pat_valid(u64 pat) {
  constexpr u8 k_existing = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7;
  for (unsigned i = 0; i < 8; ++i, pat >>= 8) {
    if ((pat & 0xFF) > 7 || (k_existing >> (pat & 7) & 1) == 0) return false;
  }
  return true;
}
}  // namespace octavo::vcpu
