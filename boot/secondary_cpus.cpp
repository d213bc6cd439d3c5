// SPDX-License-Identifier: Apache-2.0
#include "boot/secondary_cpus.hpp"

#include <cstring>

#include "arch/x86/clock.hpp"
#include "arch/x86/cpu_features.hpp"
#include "arch/x86/layout.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/paging.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/smp.hpp"
#include "lib/log.hpp"

namespace octavo::boot {
namespace {
using namespace arch;

/// As in ap_trampoline.S.
struct [[gnu::packed]] TrampolineParameters {
  u32 far_offset;
  u16 far_selector;
  u16 gdt_limit;
  u32 gdt_base;
  u32 index;
  u64 efer;
  u64 root;
  u64 stack;
};
static_assert(sizeof(TrampolineParameters) == 40);
extern "C" const u8 octavo_trampoline[], octavo_trampoline_end[], octavo_trampoline_parameters[];

constexpr u64 k_millisecond = 1'000'000;

TrampolineParameters& install(Hpa page) {
  const auto size = static_cast<usize>(octavo_trampoline_end - octavo_trampoline);
  auto* at = static_cast<u8*>(direct_map(page));
  std::memcpy(at, octavo_trampoline, size);
  auto& parameters = *reinterpret_cast<TrampolineParameters*>(at + (octavo_trampoline_parameters - octavo_trampoline));
  parameters.far_offset += static_cast<u32>(page.value());
  parameters.gdt_base += static_cast<u32>(page.value());
  parameters.efer = efer::lme | (features().no_execute ? efer::nxe : 0);
  parameters.root = page_table_root().value();
  return parameters;
}

bool comes_up(unsigned index, u64 within_ns) {
  for (const u64 end = uptime_ns() + within_ns; uptime_ns() < end; relax()) {
    if (cpu_count() > index) return true;
  }
  return false;
}

bool start(u32 apic_id, unsigned index, Hpa page) {
  const u8 start_page = static_cast<u8>(to_mfn(page).value());
  local_apic::send_init(apic_id);
  clock::busy_wait_ns(10 * k_millisecond);
  local_apic::send_startup(apic_id, start_page);
  if (comes_up(index, k_millisecond)) return true;
  local_apic::send_startup(apic_id, start_page);
  if (comes_up(index, 200 * k_millisecond)) return true;
  local_apic::send_init(apic_id);  // it waits for a STARTUP that never comes
  return false;
}

/// Not inlined: nothing that reads FS may move above adopt_per_cpu().
[[noreturn, gnu::noinline]] void run_secondary() {
  PerCpu& self = this_cpu();
  load_descriptors(self);
  use_page_tables();
  local_apic::enable();
  clock::enable_timer();
  self.apic_id = local_apic::id();
  smp::announce();
  for (;;) wait_for_interrupt();
}
}  // namespace

extern "C" [[noreturn, gnu::no_stack_protector]] void octavo_secondary_start(u32 index) {
  adopt_per_cpu(index);
  run_secondary();
}

void start_secondary_cpus(const acpi::Madt& madt, Hpa page) {
  TrampolineParameters& parameters = install(page);
  unsigned index = 1;
  for (usize i = 0; i < madt.cpu_count; ++i) {
    const u32 apic_id = madt.apic_ids[i];
    if (apic_id == this_cpu().apic_id) continue;
    if (!local_apic::can_address(apic_id)) {
      log::warning("the CPU with local APIC {} is left alone: it can only be reached in x2APIC mode, which the firmware has not chosen", apic_id);
      continue;
    }
    const CpuStacks stacks = map_stacks(index);
    set_interrupt_stacks(cpu(index), stacks);
    parameters.index = index;
    parameters.stack = stacks.ordinary;
    if (start(apic_id, index, page)) ++index;
    else log::warning("the CPU with local APIC {} does not start; going on without it", apic_id);
    if (index == k_max_cpus) break;
  }
}
}  // namespace octavo::boot
