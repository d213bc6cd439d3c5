// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/svm.hpp"

#include <new>

#include "arch/x86/cpu_features.hpp"
#include "arch/x86/layout.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/smp.hpp"
#include "arch/x86/svm/context.hpp"
#include "arch/x86/svm/permission_maps.hpp"

namespace octavo::arch::svm {
namespace {

/// Where a hypervisor's static object lies.
Hpa image_hpa(const void* object) { return Hpa{reinterpret_cast<u64>(object) - k_image_offset}; }

struct alignas(k_page_size) PerCpu {
  u8 host_save_area[k_page_size];  ///< the processor's own (VM_HSAVE_PA)
  Vmcb host_state;                 ///< what VMSAVE/VMLOAD keep of us
};
constinit PerCpu per_cpu[k_max_cpus]{};
constinit CpuState cpu_states[k_max_cpus]{};
constinit bool shadow_is_lost = false;

/// QEMU's TCG says "TCGTCGTCGTCG"; its VMRUN ignores the interrupt shadow (docs/emulators.md, pitfall 1).
bool runs_in_tcg() {
  const CpuidLeaf leaf = cpuid(0x40000000);
  return leaf.ebx == 0x54474354 && leaf.ecx == 0x43544743 && leaf.edx == 0x47435447;
}

class SvmBackend final : public Backend {
 public:
  const char* name() const override { return "SVM with nested paging"; }

  Result<void> enable_cpu() override {
    const SvmFeatures& f = features().svm;
    if (!f.present || f.disabled || !f.nested_paging || f.asid_count < 2) return fail(Error::unsupported);
    shadow_is_lost = runs_in_tcg();
    set_flush_hook(flush_before_next_entry);
    fill_permission_maps();
    PerCpu& cpu = per_cpu[cpu_index()];
    write_msr(Msr::efer, read_msr(Msr::efer) | efer::svme);
    write_msr(Msr::vm_hsave_pa, image_hpa(cpu.host_save_area).value());
    CpuState& state = cpu_states[cpu_index()];
    state.host_state = image_hpa(&cpu.host_state).value();
    asm volatile("vmsave %%rax" ::"a"(state.host_state) : "memory");
    this_cpu().backend = &state;
    return {};
  }

  u64 context_frames() const override { return (sizeof(Context) + k_page_size - 1) / k_page_size; }
  GuestContext& make_context(void* storage, Hpa hpa) const override { return *new (storage) Context(hpa); }
  u32 tag_count() const override { return features().svm.asid_count - 1; }
};
constinit SvmBackend the_backend;
}  // namespace

bool loses_interrupt_shadow() { return shadow_is_lost; }
Backend& backend() { return the_backend; }

void flush_before_next_entry(TlbTag tag) {
  FlushRequest& request = cpu_states[cpu_index()].flush;
  // Without flush-by-ASID, and with more than one tag asked for, everything goes.
  request = !features().svm.flush_by_asid || (request.wanted && request.tag != tag) ? FlushRequest{true, TlbTag::none} : FlushRequest{true, tag};
}

}  // namespace octavo::arch::svm
