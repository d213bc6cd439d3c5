// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/parse/cpu_features.hpp"

namespace octavo::arch {
namespace {
constexpr bool bit(u64 value, unsigned number) { return (value >> number & 1) != 0; }

void put_text(char* to, u32 word) {
  for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<char>(word >> (8 * i) & 0xff);
}

Vendor vendor_of(std::string_view name) {
  if (name == "AuthenticAMD") return Vendor::amd;
  if (name == "HygonGenuine") return Vendor::hygon;
  if (name == "GenuineIntel") return Vendor::intel;
  return Vendor::other;
}

// AMD APM vol. 3, CPUID Fn8000_000A; vol. 2, 15.30.1 VM_CR.
SvmFeatures decode_svm(const RawFeatures& raw) {
  SvmFeatures svm;
  svm.present = bit(raw.extended_1.ecx, 2);
  if (!svm.present) return svm;
  svm.disabled = raw.vm_cr && bit(*raw.vm_cr, 4);
  svm.revision = raw.extended_a.eax & 0xff;
  svm.asid_count = raw.extended_a.ebx;
  const u32 edx = raw.extended_a.edx;
  svm.nested_paging = bit(edx, 0);
  svm.next_rip = bit(edx, 3);
  svm.clean_bits = bit(edx, 5);
  svm.flush_by_asid = bit(edx, 6);
  svm.decode_assists = bit(edx, 7);
  svm.pause_filter = bit(edx, 10);
  return svm;
}

// Intel SDM vol. 3, 24.7 (IA32_FEATURE_CONTROL), A.3.2, A.3.3, A.10. "May be 1" is the upper half of a control MSR.
VmxFeatures decode_vmx(const RawFeatures& raw) {
  VmxFeatures vmx;
  vmx.present = bit(raw.leaf_1.ecx, 5);
  if (!vmx.present) return vmx;
  vmx.disabled = raw.feature_control && bit(*raw.feature_control, 0) && !bit(*raw.feature_control, 2);
  const bool secondary = raw.procbased && bit(*raw.procbased, 32 + 31);
  const u64 allowed = secondary && raw.procbased2 ? *raw.procbased2 >> 32 : 0;
  vmx.ept = bit(allowed, 1);
  vmx.vpid = bit(allowed, 5);
  vmx.unrestricted_guest = bit(allowed, 7);
  const u64 ept = raw.ept_vpid.value_or(0);
  vmx.ept_execute_only = bit(ept, 0);
  vmx.ept_2m = bit(ept, 16);
  vmx.ept_1g = bit(ept, 17);
  vmx.ept_accessed_dirty = bit(ept, 21);
  return vmx;
}
}  // namespace

Features decode_features(const RawFeatures& raw) {
  Features f;
  put_text(&f.vendor_name[0], raw.leaf_0.ebx);
  put_text(&f.vendor_name[4], raw.leaf_0.edx);
  put_text(&f.vendor_name[8], raw.leaf_0.ecx);
  f.vendor = vendor_of({f.vendor_name.data(), 12});
  for (usize i = 0; i < raw.brand.size(); ++i) {
    char* text = &f.brand_name[i * 16];
    put_text(text, raw.brand[i].eax);
    put_text(text + 4, raw.brand[i].ebx);
    put_text(text + 8, raw.brand[i].ecx);
    put_text(text + 12, raw.brand[i].edx);
  }
  const u32 signature = raw.leaf_1.eax;
  f.family = signature >> 8 & 0xf;
  f.model = signature >> 4 & 0xf;
  f.stepping = signature & 0xf;
  if (f.family == 0xf || f.family == 6) f.model |= signature >> 12 & 0xf0;
  if (f.family == 0xf) f.family += signature >> 20 & 0xff;

  if (const u32 sizes = raw.extended_8.eax; sizes != 0) {
    f.physical_bits = static_cast<u8>(sizes & 0xff);
    f.linear_bits = static_cast<u8>(sizes >> 8 & 0xff);
  }
  f.pages_1g = bit(raw.extended_1.edx, 26);
  f.no_execute = bit(raw.extended_1.edx, 20);
  f.rdtscp = bit(raw.extended_1.edx, 27);
  f.smep = bit(raw.leaf_7.ebx, 7);
  f.smap = bit(raw.leaf_7.ebx, 20);
  f.fsgsbase = bit(raw.leaf_7.ebx, 0);
  f.umip = bit(raw.leaf_7.ecx, 2);
  f.rdrand = bit(raw.leaf_1.ecx, 30);
  f.x2apic = bit(raw.leaf_1.ecx, 21);
  f.tsc_deadline = bit(raw.leaf_1.ecx, 24);
  f.hypervisor = bit(raw.leaf_1.ecx, 31);
  f.invariant_tsc = bit(raw.extended_7.edx, 8);
  f.xsave = bit(raw.leaf_1.ecx, 26);
  if (f.xsave) {
    f.xcr0_mask = u64{raw.leaf_d_0.edx} << 32 | raw.leaf_d_0.eax;
    f.xsave_size = raw.leaf_d_0.ecx;
    f.xsaveopt = bit(raw.leaf_d_1.eax, 0);
    f.xsaves = bit(raw.leaf_d_1.eax, 3);
  }
  // Leaf 15h: TSC = crystal (ecx, Hz) * ebx / eax; any of them 0 = not said.
  if (const CpuidLeaf& tsc = raw.leaf_15; tsc.eax != 0) f.tsc_hz = u64{tsc.ecx} * tsc.ebx / tsc.eax;
  f.svm = decode_svm(raw);
  f.vmx = decode_vmx(raw);
  return f;
}

std::string_view to_string(PagingMode mode) {
  switch (mode) {
    case PagingMode::npt: return "nested paging (SVM NPT)";
    case PagingMode::ept: return "extended page tables (VMX EPT)";
    case PagingMode::shadow_svm: return "shadow paging on SVM";
    case PagingMode::shadow_vmx: return "shadow paging on VMX";
    case PagingMode::none: break;
  }
  return "none";
}

namespace {
/// Why the processor cannot do `mode`; empty if it can.
std::string_view obstacle(const Features& f, PagingMode mode) {
  const bool is_svm = mode == PagingMode::npt || mode == PagingMode::shadow_svm;
  if (is_svm && !f.svm.present) return "the processor has no SVM";
  if (is_svm && f.svm.disabled) return "SVM is disabled by the firmware";
  if (!is_svm && !f.vmx.present) return "the processor has no VMX";
  if (!is_svm && f.vmx.disabled) return "VMX is disabled by the firmware";
  if (mode == PagingMode::npt && !f.svm.nested_paging) return "the processor has SVM without nested paging";
  if (mode == PagingMode::ept && !f.vmx.ept) return "the processor has VMX without EPT";
  if (mode == PagingMode::ept && !f.vmx.unrestricted_guest) return "the processor has EPT without unrestricted guest";
  return {};
}

std::string_view remedy_for(const Features& f) {
  if (f.svm.present && f.svm.disabled)
    return "SVM is disabled by the firmware: enable \"SVM Mode\" (AMD-V) in the firmware setup, then start again.";
  if (f.vmx.present && f.vmx.disabled)
    return "VMX is disabled by the firmware: enable \"Intel Virtualization Technology\" (VT-x) in the firmware setup, then start again.";
  if (f.svm.present)
    return "This processor has SVM without nested paging, and shadow paging is not in this version: use a processor with nested "
           "paging (QEMU: -cpu max, without -npt).";
  if (f.vmx.present)
    return "This processor has VMX, and VMX is not in this version: use an AMD processor with SVM and nested paging (QEMU: -cpu max "
           "with TCG).";
  if (f.vendor == Vendor::amd || f.vendor == Vendor::hygon)
    return "This processor offers no SVM: enable AMD-V in the firmware setup, or in a virtual machine give it a CPU model with SVM and "
           "nested paging (QEMU: -cpu max, or +svm,+npt).";
  return "This processor offers neither SVM nor VMX: use one with hardware virtualization, or in a virtual machine give it a CPU model "
         "with SVM and nested paging (QEMU: -cpu max, or +svm,+npt).";
}
}  // namespace

PagingChoice choose_paging(const Features& features, const ModeSet& landed) {
  PagingChoice choice;
  for (usize i = 0; i < k_paging_modes; ++i) {
    const auto mode = static_cast<PagingMode>(i);
    std::string_view& why_not = choice.why_not[i];
    why_not = obstacle(features, mode);
    if (!why_not.empty()) continue;
    if (choice.mode != PagingMode::none) why_not = "not needed";
    else if (!landed.contains(mode)) why_not = "not in this version of Octavo";
    else choice.mode = mode;
  }
  if (choice.mode == PagingMode::none) choice.remedy = remedy_for(features);
  return choice;
}
}  // namespace octavo::arch
