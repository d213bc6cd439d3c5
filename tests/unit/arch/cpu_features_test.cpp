// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "arch/x86/parse/cpu_features.hpp"

using namespace octavo;
using namespace octavo::arch;

namespace {
constexpr ModeSet k_all{true, true, true, true}, k_npt{.npt = true};

RawFeatures amd() {
  RawFeatures raw;
  raw.leaf_0 = {0xd, 0x68747541, 0x444d4163, 0x69746e65};
  raw.leaf_1 = {0x00a20f12, 0, 0, 0};
  raw.extended_1 = {0, 0, 1u << 2, 1u << 20 | 1u << 26};
  raw.extended_8 = {0x3030, 0, 0, 0};
  raw.extended_a = {1, 0x8000, 0, 1u << 0 | 1u << 3 | 1u << 7};
  raw.vm_cr = 0;
  return raw;
}
RawFeatures intel() {
  RawFeatures raw;
  raw.leaf_0 = {0xd, 0x756e6547, 0x6c65746e, 0x49656e69};
  raw.leaf_1 = {0x000506e3, 0, 1u << 5, 0};
  raw.feature_control = 5;
  raw.procbased = u64{1} << 63;
  raw.procbased2 = u64{1u << 1 | 1u << 5 | 1u << 7} << 32;
  raw.ept_vpid = 1u << 0 | 1u << 16 | 1u << 17 | 1u << 21;
  return raw;
}
PagingChoice choose(const RawFeatures& raw, const ModeSet& landed) { return choose_paging(decode_features(raw), landed); }
std::string_view why_not(const PagingChoice& choice, PagingMode mode) { return choice.why_not[static_cast<usize>(mode)]; }
}  // namespace

TEST_CASE("features: vendor, family and model as the manuals count them") {
  const Features a = decode_features(amd());
  CHECK(a.vendor == Vendor::amd);
  CHECK(std::string_view{a.vendor_name.data()} == "AuthenticAMD");
  CHECK(a.family == 0x19);
  CHECK(a.model == 0x21);
  CHECK(a.stepping == 2);
  const Features i = decode_features(intel());
  CHECK(i.vendor == Vendor::intel);
  CHECK(i.family == 6);
  CHECK(i.model == 0x5e);
}

TEST_CASE("features: SVM leaf") {
  const Features f = decode_features(amd());
  CHECK(f.svm.present);
  CHECK(!f.svm.disabled);
  CHECK(f.svm.nested_paging);
  CHECK(f.svm.next_rip);
  CHECK(f.svm.decode_assists);
  CHECK(!f.svm.flush_by_asid);
  CHECK(!f.svm.clean_bits);
  CHECK(f.svm.asid_count == 0x8000);
  CHECK(f.pages_1g);
  CHECK(f.no_execute);
  CHECK(f.physical_bits == 48);
}

TEST_CASE("features: VMX capabilities count only when secondary controls exist") {
  RawFeatures raw = intel();
  CHECK(decode_features(raw).vmx.ept);
  CHECK(decode_features(raw).vmx.ept_1g);
  CHECK(decode_features(raw).vmx.unrestricted_guest);
  raw.procbased = 0;
  CHECK(!decode_features(raw).vmx.ept);
}

TEST_CASE("features: TSC from leaf 15h only when all of it is there") {
  RawFeatures raw = intel();
  raw.leaf_15 = {2, 250, 24'000'000, 0};
  CHECK(decode_features(raw).tsc_hz == 3'000'000'000);
  raw.leaf_15.ecx = 0;
  CHECK(decode_features(raw).tsc_hz == 0);
  raw.leaf_15 = {0, 250, 24'000'000, 0};
  CHECK(decode_features(raw).tsc_hz == 0);
}

TEST_CASE("choice: the best mode wins, the others say why not") {
  const PagingChoice a = choose(amd(), k_all);
  CHECK(a.mode == PagingMode::npt);
  CHECK(why_not(a, PagingMode::npt).empty());
  CHECK(why_not(a, PagingMode::ept) == "the processor has no VMX");
  CHECK(why_not(a, PagingMode::shadow_svm) == "not needed");
  CHECK(choose(intel(), k_all).mode == PagingMode::ept);
}

TEST_CASE("choice: without nested paging it is shadow paging, if that has landed") {
  RawFeatures raw = amd();
  raw.extended_a.edx &= ~1u;
  CHECK(choose(raw, k_all).mode == PagingMode::shadow_svm);
  const PagingChoice choice = choose(raw, k_npt);
  CHECK(choice.mode == PagingMode::none);
  CHECK(why_not(choice, PagingMode::npt) == "the processor has SVM without nested paging");
  CHECK(why_not(choice, PagingMode::shadow_svm) == "not in this version of Octavo");
  CHECK(choice.remedy.find("nested paging") != std::string_view::npos);
  RawFeatures old_intel = intel();
  old_intel.procbased = 0;
  CHECK(choose(old_intel, k_all).mode == PagingMode::shadow_vmx);
}

TEST_CASE("choice: disabled by firmware names the switch") {
  RawFeatures raw = amd();
  raw.vm_cr = 1u << 4;
  PagingChoice choice = choose(raw, k_all);
  CHECK(choice.mode == PagingMode::none);
  CHECK(why_not(choice, PagingMode::npt) == "SVM is disabled by the firmware");
  CHECK(choice.remedy.find("SVM Mode") != std::string_view::npos);
  RawFeatures locked = intel();
  locked.feature_control = 1;
  choice = choose(locked, k_all);
  CHECK(choice.mode == PagingMode::none);
  CHECK(choice.remedy.find("VT-x") != std::string_view::npos);
  locked.feature_control = 0;  // not locked: we can enable it ourselves
  CHECK(choose(locked, k_all).mode == PagingMode::ept);
}

TEST_CASE("choice: every combination ends in a mode that has landed and works, or in a remedy") {
  for (unsigned bits = 0; bits < 256; ++bits) {
    CAPTURE(bits);
    RawFeatures raw = (bits & 1) != 0 ? amd() : intel();
    if ((bits & 2) != 0) raw.extended_1.ecx ^= 1u << 2;
    if ((bits & 4) != 0) raw.vm_cr = 1u << 4;
    if ((bits & 8) != 0) raw.extended_a.edx = 0;
    if ((bits & 16) != 0) raw.feature_control = 1;
    if ((bits & 32) != 0) raw.procbased2 = 0;
    const ModeSet landed{(bits & 64) == 0, (bits & 128) == 0, (bits & 64) != 0, (bits & 128) != 0};
    const PagingChoice choice = choose(raw, landed);
    CHECK(choice.remedy.empty() == (choice.mode != PagingMode::none));
    if (choice.mode != PagingMode::none) CHECK(landed.contains(choice.mode));
    for (usize i = 0; i < k_paging_modes; ++i) CHECK(choice.why_not[i].empty() == (static_cast<PagingMode>(i) == choice.mode));
  }
}
