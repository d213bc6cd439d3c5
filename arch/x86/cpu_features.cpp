// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu_features.hpp"

#include "arch/x86/registers.hpp"

namespace octavo::arch {
namespace {
constinit Features detected;
}

RawFeatures read_raw_features() {
  RawFeatures raw;
  raw.leaf_0 = cpuid(0);
  raw.extended_0 = cpuid(0x8000'0000);
  const auto leaf = [&](u32 number, u32 subleaf = 0) {
    const u32 highest = number >= 0x8000'0000 ? raw.extended_0.eax : raw.leaf_0.eax;
    return number <= highest ? cpuid(number, subleaf) : CpuidLeaf{};
  };
  raw.leaf_1 = leaf(1);
  raw.leaf_7 = leaf(7);
  raw.leaf_d_0 = leaf(0xd);
  raw.leaf_d_1 = leaf(0xd, 1);
  raw.leaf_15 = leaf(0x15);
  raw.extended_1 = leaf(0x8000'0001);
  raw.extended_7 = leaf(0x8000'0007);
  raw.extended_8 = leaf(0x8000'0008);
  raw.extended_a = leaf(0x8000'000a);
  for (u32 i = 0; i < 3; ++i) raw.brand[i] = leaf(0x8000'0002 + i);

  const Features seen = decode_features(raw);
  if (seen.svm.present) raw.vm_cr = try_read_msr(Msr::vm_cr);
  if (seen.vmx.present) {
    raw.feature_control = try_read_msr(Msr::feature_control);
    raw.procbased = try_read_msr(Msr::vmx_procbased_controls);
    raw.procbased2 = try_read_msr(Msr::vmx_procbased_controls2);
    raw.ept_vpid = try_read_msr(Msr::vmx_ept_vpid_capability);
  }
  return raw;
}

void detect_features() { detected = decode_features(read_raw_features()); }
const Features& features() { return detected; }
}  // namespace octavo::arch
