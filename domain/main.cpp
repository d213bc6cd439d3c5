// SPDX-License-Identifier: Apache-2.0
#include "domain/main.hpp"

#include "arch/x86/cpu_features.hpp"
#include "arch/x86/panic.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/svm/svm.hpp"
#include "arch/x86/version.hpp"
#include "domain/main_loop.hpp"
#include "domain/manager.hpp"
#include "lib/log.hpp"

namespace octavo::domain {
namespace {

constinit vcpu::Policies policies;
constinit const arch::BootInfo* boot_info = nullptr;

/// What the rooms above arch/ know when the machine is lost: how to see it again, and what the guests did last.
void print_for_panic(Sink& sink) {
  u64 bytes = 0;
  for (const arch::MemoryRange& range : boot_info->all_ram) bytes += range.size;
  // The firmware keeps a little of the machine's memory for itself.
  format(sink, "to see it again: octavo run --icount --memory {}M --smp {}", align_up(bytes, u64{64} << 20) >> 20, arch::cpu_count());
  if (!boot_info->command_line.empty()) format(sink, " --options '{}'", boot_info->command_line);
  for (const arch::BootModule& module : boot_info->modules) format(sink, " {}", module.name);
  sink.put("\n");
  manager().for_each([&sink](Domain& domain) {
    format(sink, "domain {}:\n", domain.name());
    domain.print(sink);
  });
}

vcpu::CpuidResult read_cpuid(u32 leaf, u32 subleaf) {
  const arch::CpuidLeaf raw = arch::cpuid(leaf, subleaf);
  return {raw.eax, raw.ebx, raw.ecx, raw.edx};
}
}  // namespace

void main(const arch::BootInfo& boot) {
  boot_info = &boot;
  log::set_sink(&console());
  arch::set_panic_hook(print_for_panic);
  if (const auto done = mm::initialize(boot.all_ram, boot.free_ram); !done) {
    log::error("machine memory: {}; this machine has too little memory in one piece", done.error());
    arch::exit_machine(arch::ExitCode::failed);
  }
  const mm::Machine::Statistics memory = mm::machine().statistics();
  log::info("memory: {} MiB free, {} KiB of frame table", memory.free_frames() >> 8, memory.table_frames * 4);

  arch::Backend& backend = arch::svm::backend();
  if (const auto done = backend.enable_cpu(); !done) {
    log::error("{} cannot be switched on: {}", backend.name(), done.error());
    arch::exit_machine(arch::ExitCode::failed);
  }
  const arch::Features& features = arch::features();
  policies.cpuid.build(read_cpuid, {.physical_bits = features.physical_bits});
  policies.msrs.build(policies.cpuid, {});
  manager().initialize(boot, {&backend, p2m::Paging::npt, features.pages_1g, features.physical_bits}, policies);

  let_guests_run_meanwhile();
  if (boot.modules.empty()) log::warning("no domain image came with the hypervisor; `octavo iso` puts them on the boot medium");
  bool focused = false;
  for (usize i = 0; i < boot.modules.size(); ++i) {
    const Result<Domain*> made = manager().create(i);
    if (!made) manager().note_failure();
    else if (!focused) give_focus(**made);
    focused = focused || made;
  }
  if (boot.modules.empty()) manager().note_failure();
  main_loop();
}
}  // namespace octavo::domain
