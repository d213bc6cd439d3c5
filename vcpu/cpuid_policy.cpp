// SPDX-License-Identifier: Apache-2.0
#include "vcpu/cpuid_policy.hpp"

#include <algorithm>

#include "octavo/hypercall.h"
#include "vcpu/cpuid_features.hpp"

namespace octavo::vcpu {
namespace {
using cpuid::mask_of;

constexpr u64 k_cr4_osxsave = 1u << 18;
constexpr u64 k_cr4_pke = 1u << 22;
constexpr u32 k_xsave_legacy_bytes = 576;  // legacy region and header

/// Four characters as CPUID puts them in a register.
constexpr u32 characters(const char (&text)[13], unsigned at) {
  u32 value = 0;
  for (unsigned i = 0; i < 4; ++i) value |= u32{static_cast<u8>(text[at + i])} << (8 * i);
  return value;
}
constexpr CpuidResult signature(u32 last_leaf, const char (&text)[13]) {
  return {last_leaf, characters(text, 0), characters(text, 4), characters(text, 8)};
}
constexpr bool has(u32 value, unsigned bit) { return (value >> bit & 1) != 0; }
}  // namespace

void CpuidPolicy::build(HostCpuid host, const CpuidConfig& config) {
  *this = CpuidPolicy{};
  build_basic(host);
  build_extended(host, config);
  build_xsave(host, config);
  drop_dependents();
  derive_masks();
}

void CpuidPolicy::build_basic(HostCpuid host) {
  const CpuidResult vendor = host(0, 0);
  const u32 last = std::min(vendor.eax, k_last_basic);
  basic_[0] = {last, vendor.ebx, vendor.ecx, vendor.edx};
  is_amd_ = vendor.ebx == characters("AuthenticAMD", 0) || vendor.ebx == characters("HygonGenuine", 0);

  const CpuidResult one = host(1, 0);
  // EBX: local APIC id 0, one logical processor, CLFLUSH size, brand index.
  basic_[1] = {one.eax, (one.ebx & 0xFFFF) | 1u << 16, (one.ecx & mask_of(cpuid::k_leaf_1_ecx)) | cpuid::k_hypervisor,
               one.edx & mask_of(cpuid::k_leaf_1_edx)};
  if (last >= 2) basic_[2] = host(2, 0);
  if (last >= 4) {
    for (u32 i = 0; i < k_cache_leaves; ++i) {
      cache_[i] = host(4, i);
      if ((cache_[i].eax & 0x1F) == 0) { cache_[i] = {}; break; }
      cache_[i].eax &= 0x3FFF;  // shared by one, one core
      cache_[i].edx &= 7;
    }
  }
  if (last >= 7) {
    const CpuidResult seven = host(7, 0);
    basic_[7] = {std::min(seven.eax, 1u), seven.ebx & mask_of(cpuid::k_leaf_7_ebx), seven.ecx & mask_of(cpuid::k_leaf_7_ecx),
                 seven.edx & mask_of(cpuid::k_leaf_7_edx)};
    if (seven.eax >= 1) leaf_7_1_.eax = host(7, 1).eax & mask_of(cpuid::k_leaf_7_1_eax);
  }
}

void CpuidPolicy::build_extended(HostCpuid host, const CpuidConfig& config) {
  const CpuidResult first = host(k_extended, 0);
  physical_bits_ = std::min<u8>(config.physical_bits, 36);
  if (first.eax < k_extended) return;  // before 1999: no such leaves
  const u32 last = std::min(first.eax, k_last_extended);
  const auto leaf = [&](u32 number) -> CpuidResult& { return extended_[number - k_extended]; };
  const auto take = [&](u32 number) { return number <= last ? host(number, 0) : CpuidResult{}; };
  leaf(k_extended) = {last, first.ebx, first.ecx, first.edx};

  const CpuidResult one = take(0x8000'0001);
  leaf(0x8000'0001) = {one.eax, 0, one.ecx & mask_of(cpuid::k_extended_1_ecx), one.edx & mask_of(cpuid::k_extended_1_edx)};
  if (!config.gigabyte_pages) leaf(0x8000'0001).edx &= ~cpuid::k_gigabyte_pages;
  for (u32 i = 0x8000'0002; i <= 0x8000'0006; ++i) leaf(i) = take(i);  // brand string, caches
  if (config.invariant_tsc) leaf(0x8000'0007).edx = take(0x8000'0007).edx & mask_of(cpuid::k_extended_7_edx);

  const CpuidResult eight = take(0x8000'0008);
  if ((eight.eax & 0xFF) != 0) physical_bits_ = static_cast<u8>(std::min<u32>(config.physical_bits, eight.eax & 0xFF));
  if (last >= 0x8000'0008) {
    constexpr u32 k_linear_bits = 48;  // no LA57; EAX 23:16 = 0: no other width for nested guests; ECX = 0: one core
    leaf(0x8000'0008) = {physical_bits_ | k_linear_bits << 8, eight.ebx & mask_of(cpuid::k_extended_8_ebx), 0, 0};
  }
  leaf(0x8000'0019) = take(0x8000'0019);  // TLB of 1G pages
  leaf(0x8000'001A).eax = take(0x8000'001A).eax & mask_of(cpuid::k_extended_1a_eax);
  leaf(0x8000'0021).eax = take(0x8000'0021).eax & mask_of(cpuid::k_extended_21_eax);
}

void CpuidPolicy::build_xsave(HostCpuid host, const CpuidConfig& config) {
  constexpr unsigned k_xsave_bit = 26;
  if (basic_[0].eax < 0xD || !has(basic_[1].ecx, k_xsave_bit)) return;
  const CpuidResult main = host(0xD, 0);
  u64 offered = (u64{main.edx} << 32 | main.eax) & (k_xcr0_x87 | k_xcr0_sse | k_xcr0_avx | k_xcr0_avx512 | k_xcr0_pkru);
  if ((offered & k_xcr0_avx) == 0 || (offered & k_xcr0_avx512) != k_xcr0_avx512) offered &= ~k_xcr0_avx512;
  if (!config.protection_keys || (basic_[7].ecx & cpuid::k_pku) == 0) offered &= ~k_xcr0_pkru;
  xcr0_mask_ = offered;
  xsave_features_ = host(0xD, 1).eax & mask_of(cpuid::k_leaf_d_1_eax);
  for (u32 i = 2; i < k_xsave_components; ++i) {
    if (!has(static_cast<u32>(offered), i)) continue;
    const CpuidResult component = host(0xD, i);
    components_[i] = {component.eax, component.ebx, has(component.ecx, 1)};
  }
}

void CpuidPolicy::drop_dependents() {
  u32& one_ecx = basic_[1].ecx;
  CpuidResult& seven = basic_[7];
  if ((xcr0_mask_ & k_xcr0_pkru) == 0) seven.ecx &= ~cpuid::k_pku;
  if (xcr0_mask_ == 0) one_ecx &= ~(1u << 26);
  if ((xcr0_mask_ & k_xcr0_avx) == 0) {
    one_ecx &= ~cpuid::k_needs_avx_1_ecx;
    seven.ebx &= ~cpuid::k_needs_avx_7_ebx;
    seven.ecx &= ~cpuid::k_needs_avx_7_ecx;
    leaf_7_1_.eax &= ~cpuid::k_needs_avx_7_1_eax;
    extended_[1].ecx &= ~cpuid::k_needs_avx_extended_1_ecx;
  }
  if ((xcr0_mask_ & k_xcr0_avx512) == 0) {
    seven.ebx &= ~cpuid::k_needs_avx512_7_ebx;
    seven.ecx &= ~cpuid::k_needs_avx512_7_ecx;
    seven.edx &= ~cpuid::k_needs_avx512_7_edx;
    leaf_7_1_.eax &= ~cpuid::k_needs_avx512_7_1_eax;
  }
}

void CpuidPolicy::derive_masks() {
  const auto follow = [](u32 features, unsigned feature, u64 bits) { return has(features, feature) ? bits : u64{0}; };
  const u32 one = basic_[1].edx;
  const u32 seven = basic_[7].ebx;
  cr4_mask_ = follow(one, 1, 1u << 0 | 1u << 1)             // VME, PVI
              | follow(one, 4, 1u << 2)                     // TSD
              | follow(one, 2, 1u << 3)                     // DE
              | follow(one, 3, 1u << 4)                     // PSE
              | follow(one, 6, 1u << 5)                     // PAE
              | follow(one, 13, 1u << 7)                    // PGE
              | 1u << 8                                     // PCE: no CPUID bit says it
              | follow(one, 24, 1u << 9)                    // OSFXSR
              | follow(one, 25, 1u << 10)                   // OSXMMEXCPT
              | follow(basic_[7].ecx, 2, 1u << 11)          // UMIP
              | follow(seven, 0, 1u << 16)                  // FSGSBASE
              | follow(basic_[1].ecx, 26, k_cr4_osxsave)    //
              | follow(seven, 7, 1u << 20)                  // SMEP
              | follow(seven, 20, 1u << 21)                 // SMAP
              | follow(basic_[7].ecx, 3, k_cr4_pke);
  const u32 extended = extended_[1].edx;
  efer_mask_ = follow(extended, 11, 1u << 0)                // SCE
               | follow(extended, 29, 1u << 8 | 1u << 10)   // LME, LMA
               | follow(extended, 20, 1u << 11)             // NXE
               | follow(extended, 25, 1u << 14);            // FFXSR
}

CpuidResult CpuidPolicy::lookup(u32 leaf, u32 subleaf, u64 cr4, u64 xcr0) const {
  if (leaf <= basic_[0].eax) return basic(leaf, subleaf, cr4, xcr0);
  if (leaf - k_extended < extended_.size()) return extended_[leaf - k_extended];
  if (leaf >> 16 == OCTAVO_CPUID_SIGNATURE >> 16) return hypervisor(leaf);
  return {};
}

CpuidResult CpuidPolicy::basic(u32 leaf, u32 subleaf, u64 cr4, u64 xcr0) const {
  CpuidResult result = basic_[leaf];
  switch (leaf) {
    case 1:
      if ((cr4 & k_cr4_osxsave) != 0) result.ecx |= cpuid::k_osxsave;
      return result;
    case 4: return subleaf < k_cache_leaves ? cache_[subleaf] : CpuidResult{};
    case 7:
      if (subleaf > result.eax) return {};
      if (subleaf == 1) return leaf_7_1_;
      if ((cr4 & k_cr4_pke) != 0) result.ecx |= cpuid::k_ospke;
      return result;
    case 0xB: {  // one thread, one core, id 0
      constexpr u32 k_thread_level = 1u << 8, k_core_level = 2u << 8;
      if (subleaf > 1) return {0, 0, subleaf & 0xFF, 0};
      return {0, 1, (subleaf == 0 ? k_thread_level : k_core_level) | subleaf, 0};
    }
    case 0xD: return xsave_leaf(subleaf, xcr0);
    default: return result;
  }
}

CpuidResult CpuidPolicy::xsave_leaf(u32 subleaf, u64 xcr0) const {
  if (xcr0_mask_ == 0) return {};
  if (subleaf == 0) {
    return {static_cast<u32>(xcr0_mask_), xsave_size(xcr0), xsave_size(xcr0_mask_), static_cast<u32>(xcr0_mask_ >> 32)};
  }
  if (subleaf == 1) {
    return {xsave_features_, (xsave_features_ & cpuid::k_xsavec) != 0 ? compacted_size(xcr0) : 0, 0, 0};
  }
  if (subleaf >= k_xsave_components) return {};
  const Component& component = components_[subleaf];
  return {component.size, component.offset, component.aligned ? 2u : 0u, 0};
}

u32 CpuidPolicy::xsave_size(u64 xcr0) const {
  u32 size = k_xsave_legacy_bytes;
  for (u32 i = 2; i < k_xsave_components; ++i) {
    if ((xcr0 >> i & 1) != 0) size = std::max(size, components_[i].offset + components_[i].size);
  }
  return size;
}

u32 CpuidPolicy::compacted_size(u64 xcr0) const {
  u32 size = k_xsave_legacy_bytes;
  for (u32 i = 2; i < k_xsave_components; ++i) {
    if ((xcr0 >> i & 1) == 0) continue;
    if (components_[i].aligned) size = static_cast<u32>(align_up(size, 64));
    size += components_[i].size;
  }
  return size;
}

CpuidResult CpuidPolicy::hypervisor(u32 leaf) {
  switch (leaf) {
    case OCTAVO_CPUID_SIGNATURE: return signature(OCTAVO_CPUID_VERSION, "OctavoOctavo");
    case OCTAVO_CPUID_VERSION: return {OCTAVO_ABI_VERSION, 0, 0, 0};
    case OCTAVO_CPUID_KVM_SIGNATURE: return signature(OCTAVO_CPUID_KVM_FEATURES, "KVMKVMKVM\0\0\0");
    case OCTAVO_CPUID_KVM_FEATURES: return {mask_of(cpuid::k_kvm_eax), 0, 0, 0};
    default: return {};
  }
}

bool CpuidPolicy::gigabyte_pages() const { return (extended_[1].edx & cpuid::k_gigabyte_pages) != 0; }

bool CpuidPolicy::xcr0_valid(u64 xcr0) const {
  if ((xcr0 & k_xcr0_x87) == 0 || (xcr0 & ~xcr0_mask_) != 0) return false;
  if ((xcr0 & k_xcr0_avx) != 0 && (xcr0 & k_xcr0_sse) == 0) return false;
  const u64 avx512 = xcr0 & k_xcr0_avx512;
  return avx512 == 0 || (avx512 == k_xcr0_avx512 && (xcr0 & k_xcr0_avx) != 0);
}
}  // namespace octavo::vcpu
