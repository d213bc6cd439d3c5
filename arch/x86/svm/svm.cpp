// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/svm.hpp"

#include <cpuid.h>

#include <new>

#include "arch/x86/layout.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/svm/context.hpp"
#include "arch/x86/svm/permission_maps.hpp"

namespace octavo::arch::svm {
namespace {


constexpr u64 k_vm_cr_svm_disable = 1u << 4;

struct alignas(k_page_size) PerCpu {
  u8 host_save_area[k_page_size];  ///< the processor's own (VM_HSAVE_PA)
  Vmcb host_state;                 ///< what VMSAVE/VMLOAD keep of us
};
PerCpu per_cpu[k_max_cpus];
FlushRequest flush_requests[k_max_cpus];
Features found;

void read_features() {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid(0x8000000A, eax, ebx, ecx, edx);
  found.asid_count = ebx;
  found.nested_paging = (edx & (1u << 0)) != 0;
  found.next_rip = (edx & (1u << 3)) != 0;
  found.clean_bits = (edx & (1u << 5)) != 0;
  found.flush_by_asid = (edx & (1u << 6)) != 0;
  found.decode_assists = (edx & (1u << 7)) != 0;
  __cpuid(0x40000000, eax, ebx, ecx, edx);
  found.loses_interrupt_shadow = ebx == 0x54474354 && ecx == 0x43544743 && edx == 0x47435447;  // "TCGTCGTCGTCG"
}

class SvmBackend final : public Backend {
 public:
  const char* name() const override { return "SVM with nested paging"; }

  Result<void> enable_cpu() override {
    if ((read_msr(Msr::vm_cr) & k_vm_cr_svm_disable) != 0) return fail(Error::unsupported);
    if (found.asid_count == 0) read_features();
    if (!found.nested_paging || found.asid_count < 2) return fail(Error::unsupported);
    fill_permission_maps();
    PerCpu& cpu = per_cpu[cpu_index()];
    write_msr(Msr::efer, read_msr(Msr::efer) | efer::svme);
    write_msr(Msr::vm_hsave_pa, image_hpa(cpu.host_save_area).value());
    asm volatile("vmsave %%rax" ::"a"(image_hpa(&cpu.host_state).value()) : "memory");
    return {};
  }

  u64 context_frames() const override { return (sizeof(Context) + k_page_size - 1) / k_page_size; }
  GuestContext& make_context(void* storage, Hpa hpa) const override { return *new (storage) Context(hpa); }
  u32 tag_count() const override { return found.asid_count - 1; }
};
constinit SvmBackend the_backend;
}  // namespace

const Features& features() { return found; }
Backend& backend() { return the_backend; }

void flush_before_next_entry(TlbTag tag) {
  FlushRequest& request = flush_requests[cpu_index()];
  // Without flush-by-ASID, and with more than one tag asked for, everything goes.
  request = !found.flush_by_asid || (request.wanted && request.tag != tag) ? FlushRequest{true, TlbTag::none} : FlushRequest{true, tag};
}

FlushRequest take_flush_request() {
  FlushRequest& request = flush_requests[cpu_index()];
  const FlushRequest taken = request;
  request.wanted = false;
  return taken;
}

u64 host_state_address() { return image_hpa(&per_cpu[cpu_index()].host_state).value(); }
}  // namespace octavo::arch::svm
