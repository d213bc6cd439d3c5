// SPDX-License-Identifier: Apache-2.0
#include "vcpu/msr_policy.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "vcpu/cpuid_policy.hpp"

using namespace octavo;
using vcpu::MsrAnswer;
using vcpu::MsrContext;
using vcpu::MsrPolicy;
using vcpu::MsrState;
using Kind = MsrAnswer::Kind;
namespace msr = vcpu::msr;

namespace {
template <u32 ebx>
vcpu::CpuidResult host(u32 leaf, u32) {
  if (leaf == 0) return {0x10, ebx, 0, 0};
  if (leaf == 0x8000'0000) return {0x8000'0008, 0, 0, 0};
  return {~u32{0}, ~u32{0}, ~u32{0}, ~u32{0}};
}
MsrPolicy policy(bool amd = true, vcpu::MsrConfig config = {}) {
  vcpu::CpuidPolicy cpuid;
  cpuid.build(amd ? host<0x68747541> : host<0x756E6547>, {});
  MsrPolicy result;
  result.build(cpuid, config);
  return result;
}
constexpr u64 k_pg = u64{1} << 31;
}  // namespace

TEST_CASE("what stock Linux reads without a handler on AMD answers") {
  for (const u32 number : {msr::k_hwcr, msr::k_nb_cfg, msr::k_interrupt_pending, msr::k_mmio_conf_base, msr::k_syscfg, msr::k_microcode_revision,
                           msr::k_efer, msr::k_pat, msr::k_tsc, msr::k_debugctl, msr::k_apic_base}) {
    CAPTURE(number);
    CHECK(policy().read(number).kind != Kind::general_protection);
  }
  CHECK(policy().read(msr::k_hwcr).value == u64{1} << 24);
}

TEST_CASE("what stock Linux reads without a handler on Intel answers") {
  for (const u32 number : {msr::k_misc_enable, msr::k_microcode_revision, msr::k_platform_id, msr::k_efer, msr::k_pat, msr::k_tsc}) {
    CAPTURE(number);
    CHECK(policy(false).read(number).kind != Kind::general_protection);
  }
  CHECK(policy(false).write(msr::k_microcode_revision, 0, {}).kind == Kind::ignore);
}

TEST_CASE("AMD's registers are #GP on other processors") {
  for (const u32 number : {msr::k_syscfg, msr::k_hwcr, msr::k_nb_cfg, msr::k_de_cfg, msr::k_vm_cr, msr::k_bu_cfg2}) {
    CAPTURE(number);
    CHECK(policy(false).read(number).kind == Kind::general_protection);
    CHECK(policy(false).write(number, 0, {}).kind == Kind::general_protection);
    CHECK(policy(true).read(number).kind == Kind::value);
  }
}

TEST_CASE("what is not on the list is #GP, what can be written can be read") {
  const std::set<u32> listed{
      0x10, 0x11, 0x12, 0x17, 0x1B, 0x2A, 0x8B, 0x174, 0x175, 0x176, 0x179, 0x17A, 0x1A0, 0x1D9, 0x1DB, 0x1DC, 0x1DD, 0x1DE, 0x277,
      0x4B564D00, 0x4B564D01, 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102,
      0xC0010010, 0xC0010015, 0xC001001F, 0xC0010020, 0xC0010055, 0xC0010058, 0xC0010114, 0xC0011020, 0xC0011021, 0xC0011022,
      0xC0011023, 0xC0011029, 0xC001102A, 0xC001102C};
  for (const u32 begin : {0u, 0x4B564D00u, 0xC0000000u, 0xC0010000u, 0xFFFFFF00u}) {
    for (u32 i = 0; i < (begin == 0xFFFFFF00u ? 0x100u : 0x3000u); ++i) {
      const u32 number = begin + i;
      const bool reads = policy().read(number).kind != Kind::general_protection;
      const bool writes = policy().write(number, 0, {}).kind != Kind::general_protection;
      CAPTURE(number);
      if (writes) CHECK(reads);
      CHECK(reads == listed.contains(number));
    }
  }
  for (const u32 hidden : {0x3Au, 0x3Bu, 0x48u, 0x49u, 0xCEu, 0xE1u, 0xFEu, 0x10Au, 0x10Bu, 0x122u, 0x140u, 0x17Bu, 0x186u, 0x200u, 0x2FFu, 0x38Fu, 0x400u,
                           0x480u, 0x6E0u, 0x802u, 0xDA0u, 0x4B564D02u, 0x4B564D05u, 0xC0000103u, 0xC0000104u, 0xC00000E7u, 0xC001011Fu, 0xC0010117u, 0xC0010140u}) {
    CAPTURE(hidden);
    CHECK(policy().read(hidden).kind == Kind::general_protection);
    CHECK(policy().write(hidden, 0, {}).kind == Kind::general_protection);
  }
}

TEST_CASE("EFER: every bit, under paging and without") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const u64 cr0 : {u64{0}, k_pg}) {
      for (const u64 efer : {u64{0}, u64{0x100}, u64{0x500}}) {
        const u64 written = efer ^ u64{1} << bit;
        const auto answer = policy().write(msr::k_efer, written, {cr0, efer});
        const bool known = bit == 0 || bit == 8 || bit == 10 || bit == 11 || bit == 14;
        const bool changes_mode = bit == 8 && cr0 != 0;
        CAPTURE(bit, cr0, efer);
        if (!known || changes_mode) {
          CHECK(answer.kind == Kind::general_protection);
        } else {
          CHECK(answer.kind == Kind::state);
          CHECK(answer.state == MsrState::efer);
          CHECK(answer.value == (bit == 10 ? efer : written));  // LMA is not written
        }
      }
    }
  }
}

TEST_CASE("PAT: each byte, each value") {
  for (unsigned byte = 0; byte < 8; ++byte) {
    for (u64 type = 0; type < 256; ++type) {
      const u64 pat = (vcpu::k_pat_at_reset & ~(u64{0xFF} << (8 * byte))) | type << (8 * byte);
      const bool exists = type == 0 || type == 1 || (type >= 4 && type <= 7);
      CHECK(vcpu::pat_valid(pat) == exists);
      CHECK((policy().write(msr::k_pat, pat, {}).kind == Kind::state) == exists);
    }
  }
}

TEST_CASE("addresses have to be canonical, SFMASK has 32 bits") {
  for (const u32 number : {msr::k_lstar, msr::k_cstar, msr::k_fs_base, msr::k_gs_base, msr::k_kernel_gs_base, msr::k_sysenter_esp, msr::k_sysenter_eip}) {
    CAPTURE(number);
    CHECK(policy().write(number, 0xFFFF800000000000, {}).kind == Kind::state);
    CHECK(policy().write(number, 0x00007FFFFFFFFFFF, {}).value == 0x00007FFFFFFFFFFF);
    CHECK(policy().write(number, 0x0000800000000000, {}).kind == Kind::general_protection);
  }
  CHECK(policy().write(msr::k_sfmask, 0x47700, {}).kind == Kind::state);
  CHECK(policy().write(msr::k_sfmask, u64{1} << 32, {}).kind == Kind::general_protection);
  CHECK(policy().write(msr::k_star, ~u64{0}, {}).kind == Kind::state);
}

TEST_CASE("the APIC reads as disabled and cannot be enabled") {
  CHECK((policy().read(msr::k_apic_base).value & 1u << 11) == 0);
  CHECK(policy().write(msr::k_apic_base, 0xFEE00100, {}).kind == Kind::ignore);
  CHECK(policy().write(msr::k_apic_base, 0xFEE00900, {}).kind == Kind::general_protection);
}

TEST_CASE("both generations of the clock's MSRs lead to the same state") {
  for (const u32 number : {msr::k_kvm_system_time, msr::k_kvm_system_time_old}) {
    CHECK(policy().write(number, 0x1001, {}).state == MsrState::kvm_system_time);
    CHECK(policy().write(number, 0x1001, {}).value == 0x1001);
    CHECK(policy().read(number).state == MsrState::kvm_system_time);
  }
  for (const u32 number : {msr::k_kvm_wall_clock, msr::k_kvm_wall_clock_old}) {
    CHECK(policy().write(number, 0x1000, {}).state == MsrState::kvm_wall_clock);
  }
}

TEST_CASE("values that the hypervisor was told") {
  const auto told = policy(true, {.microcode_revision = 0x01000065, .lfence_serializing = true});
  CHECK(told.read(msr::k_microcode_revision).value == 0x01000065);
  CHECK(told.read(msr::k_de_cfg).value == 2);
  CHECK(policy().read(msr::k_de_cfg).value == 0);
  CHECK(told.read(msr::k_mcg_cap).value == 0);
  CHECK(told.write(msr::k_debugctl, 2, {}).kind == Kind::ignore);
  CHECK(told.write(msr::k_debugctl, 4, {}).kind == Kind::general_protection);
}
