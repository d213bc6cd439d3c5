// SPDX-License-Identifier: Apache-2.0
// The order in which the machine comes up. Each step may use what the steps above it made and nothing else; the last one
// hands over to domain::main() for good.
#include <algorithm>

#include "arch/x86/acpi.hpp"
#include "arch/x86/clock.hpp"
#include "arch/x86/console.hpp"
#include "arch/x86/cpu_features.hpp"
#include "arch/x86/early_memory.hpp"
#include "arch/x86/io_apic.hpp"
#include "arch/x86/layout.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/paging.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/power.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/smp.hpp"
#include "arch/x86/uart.hpp"
#include "arch/x86/version.hpp"
#include "arch/x86/wall_clock.hpp"
#include "boot/loader.hpp"
#include "boot/options.hpp"
#include "boot/secondary_cpus.hpp"
#include "domain/main.hpp"
#include "lib/log.hpp"

namespace octavo::boot {
namespace {
using namespace arch;

/// What this version can use; a mode that lands adds itself here.
constexpr ModeSet k_landed{.npt = true};

constexpr u64 k_first_mib = 1 << 20;
constexpr u64 k_last_start_page = 0x9f000;  ///< STARTUP can name any page below 1 MiB, but above this are devices

/// The sentence has been said; there is nothing left to do, and nothing that repeats.
[[noreturn]] void stop() { exit_machine(ExitCode::failed); }

/// Faults before the real stacks are mapped.
void load_early_descriptors() {
  alignas(16) static constinit u8 fault_stack[4096] = {};
  PerCpu& self = this_cpu();
  const u64 top = reinterpret_cast<u64>(fault_stack + sizeof fault_stack);
  for (const InterruptStack stack : {InterruptStack::double_fault, InterruptStack::nmi, InterruptStack::machine_check}) set_interrupt_stack(self, stack, top);
  make_interrupt_table();
  load_descriptors(self);
}

void attach_early_screen() {
  const auto screen = framebuffer();
  if (screen && range_within(screen->base.value(), screen->size(), k_boot_mapped)) console().attach_screen(*screen, direct_map(screen->base));
}

/// The same screen through the final page tables; or for the first time, if it lies beyond 4 GiB.
void map_screen() {
  const auto screen = framebuffer();
  if (!screen || screen->size() == 0) return;
  const Caching caching = screen->kind == FramebufferKind::ega_text ? Caching::uncached : Caching::write_combining;
  volatile void* memory = map_mmio(screen->base, screen->size(), caching);
  if (console().has_screen()) console().move_screen(memory);
  else console().attach_screen(*screen, memory);
}

/// Of the memory that the boot page tables map, the largest free piece.
MemoryRange early_memory_range() {
  MemoryRange best;
  for (MemoryRange range : information().free_ram) {
    if (range.base.value() >= k_boot_mapped) break;
    range.size = std::min(range.size, k_boot_mapped - range.base.value());
    if (range.size > best.size) best = range;
  }
  return best;
}

/// A page below 1 MiB that nobody uses; not page 0, which firmware does.
std::optional<Hpa> trampoline_page() {
  for (const MemoryRange& range : information().free_ram) {
    const u64 end = std::min(range.base.value() + range.size, k_last_start_page + k_page_size);
    if (range.base.value() < end && end > 2 * k_page_size) return Hpa{end - k_page_size};
  }
  return std::nullopt;
}

void print_machine() {
  const Features& f = features();
  log::info("started by {}, command line: {}", information().loader_name, information().command_line);
  log::info("processor: {} {} (family {:x}h, model {:x}h, stepping {})", std::string_view{f.vendor_name.data()},
            std::string_view{f.brand_name.data()}, f.family, f.model, f.stepping);
  const auto& madt = acpi::machine().madt;
  log::info("memory: {} MiB of RAM; CPUs: {}", ram_bytes() >> 20, madt ? madt->cpu_count : 1);
  for (const MemoryRange& range : information().all_ram) log::debug("RAM {:012x} to {:012x}", range.base, range.base.value() + range.size);
}

void start_channel() {
  if (channel_is_wanted() && com2().initialize()) log::info("operator channel: COM2");
}

/// Without the interrupt, a line is polled.
void route_serial_line(const acpi::Madt& madt, Uart& line, void (*handler)()) {
  const u8 irq = line.irq();
  const Vector vector{static_cast<u8>(static_cast<u8>(Vector::isa_base) + irq)};
  set_interrupt_handler(vector, handler);
  if (line.present() && io_apic::route_isa(madt, irq, vector, this_cpu().apic_id)) line.enable_interrupts();
}

void start_interrupts() {
  silence_legacy_pics();
  const auto& madt = acpi::machine().madt;
  constexpr Hpa usual_local_apic{0xfee0'0000};
  local_apic::initialize(madt ? madt->local_apic : usual_local_apic);
  local_apic::enable();
  this_cpu().apic_id = local_apic::id();
  set_interrupt_handler(Vector::timer, clock::on_timer);
  if (!madt) return log::warning("no MADT: the serial lines are polled");
  io_apic::initialize(*madt);
  route_serial_line(*madt, com1(), [] { com1().interrupt(); });
  route_serial_line(*madt, com2(), [] { com2().interrupt(); });
}

void start_clock() {
  if (!clock::calibrate()) {
    log::error("No clock: neither the ACPI timer nor the PIT counts, so time cannot be measured; enable one in the firmware setup.");
    stop();
  }
  clock::enable_timer();
  start_wall_clock();
  log::info("clock: TSC at {} kHz by {}; timer: {}", clock::tsc_hz() / 1000, clock::source(), clock::apic_timer_hz() == 0 ? "TSC deadline" : "local APIC");
}

void start_other_cpus() {
  smp::initialize();
  const auto& madt = acpi::machine().madt;
  if (!madt || madt->cpu_count < 2) return;
  if (const auto page = trampoline_page()) start_secondary_cpus(*madt, *page);
  else log::warning("no page below 1 MiB is free, so the other CPUs cannot be started");
  flush_tag(TlbTag::none, low_bits(cpu_count()));  // comes back when all have answered
  log::info("{} of {} CPUs are up and answer flush requests ({})", cpu_count(), madt->cpu_count, local_apic::is_x2apic() ? "x2APIC" : "xAPIC");
  if (madt->cpus_ignored != 0) log::warning("{} CPUs more than Octavo can use are left alone", madt->cpus_ignored);
}

/// What boot took, and the first MiB, where firmware and legacy devices are not always honest about what they use.
void keep_boot_memory() {
  const MemoryRange taken = early_memory::close();
  keep(taken.base, taken.size);
  keep(Hpa{0}, k_first_mib);
}

void choose_virtualization() {
  const PagingChoice choice = choose_paging(features(), k_landed);
  for (usize i = 0; i < k_paging_modes; ++i) {
    const auto mode = static_cast<PagingMode>(i);
    if (mode == choice.mode) log::info("using {}", to_string(mode));
    else log::info("not {}: {}", to_string(mode), choice.why_not[i]);
  }
  if (choice.mode != PagingMode::none) return;
  log::error("{}", choice.remedy);
  stop();
}

/// The second half, on the guarded stack and our own page tables.
[[noreturn]] void go_on() {
  map_screen();
  start_interrupts();
  start_clock();
  start_other_cpus();
  choose_virtualization();
  keep_boot_memory();
  domain::main(information());
}

[[noreturn]] void switch_stack(u64 top, void (*next)()) {
  asm volatile(
      "mov %0, %%rsp\n"
      "xor %%ebp, %%ebp\n"
      "call *%1\n"
      "ud2"
      :
      : "r"(top), "r"(next)
      : "memory");
  __builtin_unreachable();
}

/// Not inlined: nothing that reads FS may move above adopt_per_cpu().
[[noreturn, gnu::noinline]] void bring_up(Hpa loader_information) {
  load_early_descriptors();
  com1().initialize();
  log::set_sink(&console());
  detect_features();
  read_loader_information(loader_information);
  keep_symbols();
  log::info("Octavo {} ({})", version(), git_id());
  apply_options(information().command_line);
  start_channel();
  attach_early_screen();
  acpi::discover(acpi_root_pointer());
  print_machine();

  early_memory::open(early_memory_range());
  build_page_tables(information().all_ram);
  const CpuStacks stacks = map_stacks(0);
  use_page_tables();
  set_interrupt_stacks(this_cpu(), stacks);
  switch_stack(stacks.ordinary, go_on);
}
}  // namespace

/// From entry.S: 64-bit, boot page tables, a small stack, interrupts off.
extern "C" [[noreturn, gnu::no_stack_protector]] void octavo_start(u64 loader_information) {
  arch::clock::start(arch::read_tsc());
  arch::adopt_per_cpu(0);
  bring_up(Hpa{loader_information});
}
}  // namespace octavo::boot
