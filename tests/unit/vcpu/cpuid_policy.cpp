// SPDX-License-Identifier: Apache-2.0
#include "vcpu/cpuid_policy.hpp"

#include <catch2/catch.hpp>
#include <cpuid.h>
#include <cstring>
#include <string>

#include "vcpu/cpuid_features.hpp"

using namespace octavo;
using vcpu::CpuidConfig;
using vcpu::CpuidPolicy;
using vcpu::CpuidResult;

namespace {
enum Register { eax, ebx, ecx, edx };
u32 reg(const CpuidResult& r, Register which) { return which == eax ? r.eax : which == ebx ? r.ebx : which == ecx ? r.ecx : r.edx; }

/// A processor with every bit that there is, and the XSAVE layout of a Skylake server.
CpuidResult full_host(u32 leaf, u32 subleaf) {
  constexpr u32 ones = ~u32{0};
  switch (leaf) {
    case 0: return {0x20, 0x68747541, 0x444D4163, 0x69746E65};  // AuthenticAMD
    case 4: return subleaf < 3 ? CpuidResult{0xFFFFC001 + subleaf, ones, ones, ones} : CpuidResult{};
    case 0x8000'0000: return {0x8000'0028, 0x68747541, 0x444D4163, 0x69746E65};
    case 0x8000'0008: return {0xFF3930, ones, ones, ones};  // 48 physical bits, 57 linear
    case 0xD:
      switch (subleaf) {
        case 2: return {256, 576, 0, 0};
        case 5: return {64, 1088, 0, 0};
        case 6: return {512, 1152, 0, 0};
        case 7: return {1024, 1664, 0, 0};
        case 9: return {8, 2688, 0, 0};
        default: return {ones, ones, ones, ones};
      }
    default: return {ones, ones, ones, ones};
  }
}
CpuidResult empty_host(u32, u32) { return {}; }
/// No AVX state: a processor whose XCR0 knows x87 and SSE only.
CpuidResult sse_host(u32 leaf, u32 subleaf) {
  return leaf == 0xD && subleaf == 0 ? CpuidResult{3, 576, 576, 0} : full_host(leaf, subleaf);
}
CpuidResult aligned_host(u32 leaf, u32 subleaf) {
  if (leaf == 0xD && subleaf == 2) return {100, 576, 2, 0};
  if (leaf == 0xD && subleaf == 5) return {64, 1088, 2, 0};
  return full_host(leaf, subleaf);
}
CpuidResult this_host(u32 leaf, u32 subleaf) {
  CpuidResult r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

CpuidPolicy built(vcpu::HostCpuid host, CpuidConfig config = {}) {
  CpuidPolicy policy;
  policy.build(host, config);
  return policy;
}
std::string text(const CpuidResult& r) {
  char out[13]{};
  std::memcpy(out, &r.ebx, 4);
  std::memcpy(out + 4, &r.ecx, 4);
  std::memcpy(out + 8, &r.edx, 4);
  return out;
}
constexpr u64 k_osxsave = 1u << 18;
}  // namespace

TEST_CASE("what would need a world switch or a device that is not there is hidden, whatever the processor has") {
  const auto policy = built(full_host);
  struct Hidden { const char* name; u32 leaf, subleaf; Register where; unsigned bit; };
  constexpr Hidden k_hidden[] = {
      {"dtes64", 1, 0, ecx, 2}, {"monitor", 1, 0, ecx, 3}, {"vmx", 1, 0, ecx, 5}, {"smx", 1, 0, ecx, 6}, {"est", 1, 0, ecx, 7},
      {"pdcm", 1, 0, ecx, 15}, {"pcid", 1, 0, ecx, 17}, {"dca", 1, 0, ecx, 18}, {"x2apic", 1, 0, ecx, 21},
      {"tsc_deadline", 1, 0, ecx, 24}, {"mce", 1, 0, edx, 7}, {"apic", 1, 0, edx, 9}, {"mtrr", 1, 0, edx, 12},
      {"mca", 1, 0, edx, 14}, {"psn", 1, 0, edx, 18}, {"ds", 1, 0, edx, 21}, {"acpi", 1, 0, edx, 22}, {"ht", 1, 0, edx, 28},
      {"tm", 1, 0, edx, 29}, {"pbe", 1, 0, edx, 31},
      {"tsc_adjust", 7, 0, ebx, 1}, {"sgx", 7, 0, ebx, 2}, {"hle", 7, 0, ebx, 4}, {"invpcid", 7, 0, ebx, 10}, {"rtm", 7, 0, ebx, 11},
      {"rdt_m", 7, 0, ebx, 12}, {"mpx", 7, 0, ebx, 14}, {"rdt_a", 7, 0, ebx, 15}, {"intel_pt", 7, 0, ebx, 25},
      {"pku", 7, 0, ecx, 3}, {"waitpkg", 7, 0, ecx, 5}, {"shstk", 7, 0, ecx, 7}, {"tme", 7, 0, ecx, 13}, {"la57", 7, 0, ecx, 16},
      {"rdpid", 7, 0, ecx, 22}, {"keylocker", 7, 0, ecx, 23}, {"enqcmd", 7, 0, ecx, 29}, {"sgx_lc", 7, 0, ecx, 30}, {"pks", 7, 0, ecx, 31},
      {"uintr", 7, 0, edx, 5}, {"hybrid", 7, 0, edx, 15}, {"arch_lbr", 7, 0, edx, 19}, {"ibt", 7, 0, edx, 20}, {"amx_bf16", 7, 0, edx, 22},
      {"amx_tile", 7, 0, edx, 24}, {"amx_int8", 7, 0, edx, 25}, {"spec_ctrl", 7, 0, edx, 26}, {"stibp", 7, 0, edx, 27},
      {"flush_l1d", 7, 0, edx, 28}, {"arch_capabilities", 7, 0, edx, 29}, {"core_capabilities", 7, 0, edx, 30}, {"ssbd", 7, 0, edx, 31},
      {"xsaves", 0xD, 1, eax, 3}, {"xfd", 0xD, 1, eax, 4},
      {"cmp_legacy", 0x80000001, 0, ecx, 1}, {"svm", 0x80000001, 0, ecx, 2}, {"extapic", 0x80000001, 0, ecx, 3},
      {"osvw", 0x80000001, 0, ecx, 9}, {"ibs", 0x80000001, 0, ecx, 10}, {"skinit", 0x80000001, 0, ecx, 12}, {"lwp", 0x80000001, 0, ecx, 15},
      {"tce", 0x80000001, 0, ecx, 17}, {"nodeid_msr", 0x80000001, 0, ecx, 19}, {"topoext", 0x80000001, 0, ecx, 22},
      {"perfctr_core", 0x80000001, 0, ecx, 23}, {"bpext", 0x80000001, 0, ecx, 26}, {"mwaitx", 0x80000001, 0, ecx, 29},
      {"apic", 0x80000001, 0, edx, 9}, {"mtrr", 0x80000001, 0, edx, 12}, {"rdtscp", 0x80000001, 0, edx, 27},
      {"irperf", 0x80000008, 0, ebx, 1}, {"rdpru", 0x80000008, 0, ebx, 4}, {"ibpb", 0x80000008, 0, ebx, 12}, {"ibrs", 0x80000008, 0, ebx, 14},
      {"stibp", 0x80000008, 0, ebx, 15}, {"ssbd", 0x80000008, 0, ebx, 24}, {"virt_ssbd", 0x80000008, 0, ebx, 25},
      {"hw_pstate", 0x80000007, 0, edx, 7}, {"auto_ibrs", 0x80000021, 0, eax, 8}};
  for (const Hidden& h : k_hidden) {
    CAPTURE(h.name, h.leaf, h.bit);
    CHECK((reg(policy.lookup(h.leaf, h.subleaf, 0, 1), h.where) >> h.bit & 1) == 0);
  }
}

TEST_CASE("a processor with every bit shows exactly the closed list") {
  using namespace vcpu::cpuid;
  const auto policy = built(full_host, {.physical_bits = 46, .protection_keys = true});
  CHECK(policy.lookup(1, 0, 0, 1).ecx == (mask_of(k_leaf_1_ecx) | k_hypervisor));
  CHECK(policy.lookup(1, 0, 0, 1).edx == mask_of(k_leaf_1_edx));
  CHECK(policy.lookup(7, 0, 0, 1) == CpuidResult{1, mask_of(k_leaf_7_ebx), mask_of(k_leaf_7_ecx), mask_of(k_leaf_7_edx)});
  CHECK(policy.lookup(7, 1, 0, 1) == CpuidResult{mask_of(k_leaf_7_1_eax), 0, 0, 0});
  CHECK(policy.lookup(0x8000'0001, 0, 0, 1).ecx == mask_of(k_extended_1_ecx));
  CHECK(policy.lookup(0x8000'0001, 0, 0, 1).edx == mask_of(k_extended_1_edx));
  CHECK(policy.lookup(0x8000'0008, 0, 0, 1) == CpuidResult{0x302E, mask_of(k_extended_8_ebx), 0, 0});
  CHECK(policy.lookup(0x8000'0021, 0, 0, 1) == CpuidResult{mask_of(k_extended_21_eax), 0, 0, 0});
  CHECK(policy.lookup(0, 0, 0, 1).eax == 0xD);
  CHECK(policy.lookup(0x8000'0000, 0, 0, 1).eax == 0x8000'0021);
}

TEST_CASE("leaves that are not offered are zero, beyond the ends too") {
  const auto policy = built(full_host);
  for (const u32 leaf : {3u, 5u, 6u, 8u, 9u, 0xAu, 0xCu, 0xEu, 0x10u, 0x12u, 0x14u, 0x15u, 0x16u, 0x1Fu, 0x20u, 0x3FFFFFFFu, 0x40000002u,
                         0x400000FFu, 0x40000102u, 0x40000200u, 0x8000000Au, 0x8000001Bu, 0x8000001Cu, 0x8000001Du, 0x8000001Eu,
                         0x8000001Fu, 0x80000020u, 0x80000022u, 0xC0000000u, 0xFFFFFFFFu}) {
    for (const u32 subleaf : {0u, 1u, 2u, 63u, 0xFFFFFFFFu}) {
      CAPTURE(leaf, subleaf);
      CHECK(policy.lookup(leaf, subleaf, ~u64{0}, 7) == CpuidResult{});
    }
  }
  for (const u32 subleaf : {2u, 3u, 0xFFFFFFFFu}) CHECK(policy.lookup(7, subleaf, 0, 1) == CpuidResult{});
  for (const u32 subleaf : {3u, 4u, 8u, 9u, 10u, 64u, 0xFFFFFFFFu}) CHECK(policy.lookup(0xD, subleaf, 0, 1) == CpuidResult{});
}

TEST_CASE("the hypervisor says who it is, and offers KVM's clock") {
  const auto policy = built(empty_host);
  CHECK(text(policy.lookup(0x4000'0000, 0, 0, 1)) == "OctavoOctavo");
  CHECK(policy.lookup(0x4000'0000, 0, 0, 1).eax == 0x4000'0001);
  CHECK(policy.lookup(0x4000'0001, 0, 0, 1).eax == 1);
  CHECK(text(policy.lookup(0x4000'0100, 0, 0, 1)) == "KVMKVMKVM");
  CHECK(policy.lookup(0x4000'0100, 0, 0, 1).eax == 0x4000'0101);
  CHECK(policy.lookup(0x4000'0101, 0, 0, 1) == CpuidResult{1u | 1u << 1 | 1u << 3 | 1u << 24, 0, 0, 0});
  CHECK(policy.lookup(1, 0, 0, 1).ecx == 0);  // beyond the last basic leaf of a processor without any
}

TEST_CASE("OSXSAVE and OSPKE mirror the guest's CR4") {
  const auto policy = built(full_host, {.protection_keys = true});
  CHECK((policy.lookup(1, 0, 0, 1).ecx >> 27 & 1) == 0);
  CHECK((policy.lookup(1, 0, k_osxsave, 1).ecx >> 27 & 1) == 1);
  CHECK((policy.lookup(7, 0, 0, 1).ecx >> 4 & 1) == 0);
  CHECK((policy.lookup(7, 0, 1u << 22, 1).ecx >> 4 & 1) == 1);
}

TEST_CASE("one CPU with one core") {
  const auto policy = built(full_host);
  CHECK(policy.lookup(1, 0, 0, 1).ebx >> 16 == 1);
  CHECK(policy.lookup(4, 0, 0, 1).eax >> 14 == 0);
  CHECK(policy.lookup(4, 3, 0, 1) == CpuidResult{});
  CHECK(policy.lookup(0xB, 0, 0, 1) == CpuidResult{0, 1, 0x100, 0});
  CHECK(policy.lookup(0xB, 1, 0, 1) == CpuidResult{0, 1, 0x201, 0});
  CHECK(policy.lookup(0xB, 2, 0, 1) == CpuidResult{0, 0, 2, 0});
  CHECK(policy.lookup(0x8000'0008, 0, 0, 1).ecx == 0);
}

TEST_CASE("leaf D is computed from the offered components") {
  const auto policy = built(full_host, {.protection_keys = true});
  CHECK(policy.xcr0_mask() == 0x2E7);
  CHECK(policy.lookup(0xD, 0, 0, 1) == CpuidResult{0x2E7, 576, 2696, 0});
  CHECK(policy.lookup(0xD, 0, 0, 7).ebx == 832);
  CHECK(policy.lookup(0xD, 0, 0, 0xE7).ebx == 2688);
  CHECK(policy.lookup(0xD, 1, 0, 0xE7) == CpuidResult{7, 2432, 0, 0});
  CHECK(policy.lookup(0xD, 2, 0, 1) == CpuidResult{256, 576, 0, 0});
  CHECK(policy.lookup(0xD, 8, 0, 1) == CpuidResult{});
  // Component 2 ends at 676; component 5 is aligned to 704 in the compacted format.
  CHECK(built(aligned_host).lookup(0xD, 1, 0, 0x27).ebx == 704 + 64);
  CHECK(built(aligned_host).lookup(0xD, 2, 0, 1).ecx == 2);
}

TEST_CASE("without protection keys in the world switch there is no PKU, no CR4.PKE and no component 9") {
  const auto policy = built(full_host);
  CHECK(policy.xcr0_mask() == 0xE7);
  CHECK((policy.cr4_mask() >> 22 & 1) == 0);
  CHECK(policy.lookup(0xD, 9, 0, 1) == CpuidResult{});
}

TEST_CASE("what needs a state component falls with it") {
  const auto policy = built(sse_host);
  CHECK(policy.xcr0_mask() == 3);
  CHECK((policy.lookup(1, 0, 0, 1).ecx & (1u << 12 | 1u << 28 | 1u << 29)) == 0);
  CHECK((policy.lookup(1, 0, 0, 1).ecx >> 26 & 1) == 1);
  CHECK((policy.lookup(7, 0, 0, 1).ebx & (1u << 5 | 1u << 16 | 1u << 30 | 1u << 31)) == 0);
  CHECK((policy.lookup(7, 0, 0, 1).ecx & (1u << 9 | 1u << 10 | 1u << 11)) == 0);
  CHECK(policy.lookup(0x8000'0001, 0, 0, 1).ecx == (vcpu::cpuid::mask_of(vcpu::cpuid::k_extended_1_ecx) & ~(1u << 11 | 1u << 16)));
}

TEST_CASE("the control-register masks follow from what is offered") {
  CHECK(built(full_host).cr4_mask() == 0x350FBF);
  CHECK(built(full_host, {.protection_keys = true}).cr4_mask() == 0x750FBF);
  CHECK(built(full_host).efer_mask() == 0x4D01);
  CHECK(built(empty_host).cr4_mask() == 1u << 8);
  CHECK(built(empty_host).efer_mask() == 0);
}

TEST_CASE("XCR0: x87 always, AVX wants SSE, AVX-512 wants AVX and all of itself") {
  const auto policy = built(full_host);
  for (u64 xcr0 = 0; xcr0 < 1024; ++xcr0) {
    const bool avx512_some = (xcr0 & 0xE0) != 0, avx512_all = (xcr0 & 0xE0) == 0xE0;
    const bool expected = (xcr0 & 1) != 0 && (xcr0 & ~u64{0xE7}) == 0 && ((xcr0 & 4) == 0 || (xcr0 & 2) != 0) &&
                          (!avx512_some || (avx512_all && (xcr0 & 6) == 6));
    CAPTURE(xcr0);
    CHECK(policy.xcr0_valid(xcr0) == expected);
  }
  CHECK(!policy.xcr0_valid(u64{1} << 63 | 1));
}

TEST_CASE("physical bits are the smaller of the configured and the host's") {
  CHECK(built(full_host, {.physical_bits = 52}).physical_bits() == 48);
  CHECK(built(full_host, {.physical_bits = 39}).physical_bits() == 39);
  CHECK(built(empty_host).physical_bits() == 36);
  CHECK(!built(full_host, {.gigabyte_pages = false}).gigabyte_pages());
  CHECK(built(full_host).gigabyte_pages());
}

TEST_CASE("CR0 combinations that MOV CR0 refuses") {
  CHECK(vcpu::cr0_valid(0x80000011));
  CHECK(!vcpu::cr0_valid(0x80000010));
  CHECK(!vcpu::cr0_valid(0x20000011));
  CHECK(vcpu::cr0_valid(0x60000011));
  CHECK(!vcpu::cr0_valid(u64{1} << 32 | 0x11));
}

TEST_CASE("on this machine nothing is offered that it does not have") {
  const auto policy = built(this_host);
  const u32 last = policy.lookup(0, 0, 0, 1).eax;
  CHECK((policy.lookup(1, 0, 0, 1).ecx & ~this_host(1, 0).ecx & ~vcpu::cpuid::k_hypervisor) == 0);
  CHECK((policy.lookup(1, 0, 0, 1).edx & ~this_host(1, 0).edx) == 0);
  if (last >= 7) CHECK((policy.lookup(7, 0, 0, 1).ebx & ~this_host(7, 0).ebx) == 0);
  CHECK((policy.lookup(0x8000'0001, 0, 0, 1).edx & ~this_host(0x8000'0001, 0).edx) == 0);
  if (policy.xcr0_mask() != 0) {
    CHECK((policy.xcr0_mask() & ~u64{this_host(0xD, 0).eax}) == 0);
    CHECK(policy.xsave_size(policy.xcr0_mask()) <= this_host(0xD, 0).ecx);
  }
}
