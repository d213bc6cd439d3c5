// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/local_apic.hpp"

#include "arch/x86/cpu_features.hpp"
#include "arch/x86/paging.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"

namespace octavo::arch::local_apic {
namespace {
/// Offsets in the xAPIC page; the x2APIC MSR is 800h + offset / 16.
enum class Register : u32 {
  id = 0x20, task_priority = 0x80, end_of_interrupt = 0xb0, spurious = 0xf0, command = 0x300, command_high = 0x310, lvt_timer = 0x320,
  lvt_performance = 0x340, lvt_lint0 = 0x350, lvt_lint1 = 0x360, lvt_error = 0x370, timer_initial = 0x380, timer_current = 0x390, timer_divide = 0x3e0
};
enum class Mode : u8 { absent, memory, msr };

constexpr u32 k_masked = 1 << 16, k_software_enable = 1 << 8, k_deadline_mode = 2 << 17, k_divide_by_1 = 0xb, k_lvt_nmi = 4 << 8;
constexpr u32 k_command_nmi = 4 << 8, k_command_init = 5 << 8, k_command_startup = 6 << 8, k_command_assert = 1 << 14,
              k_command_all_but_self = 3 << 18, k_command_pending = 1 << 12;
constexpr u64 k_base_enable = 1 << 11, k_base_x2apic = 1 << 10;

constinit Mode mode = Mode::absent;
constinit bool x2apic_wanted = false;
constinit volatile u8* registers = nullptr;

u32 read(Register reg) {
  if (mode == Mode::msr) return static_cast<u32>(read_msr(static_cast<Msr>(static_cast<u32>(Msr::x2apic_base) + static_cast<u32>(reg) / 16)));
  return *reinterpret_cast<volatile u32*>(registers + static_cast<u32>(reg));
}

void write(Register reg, u32 value) {
  if (mode == Mode::msr) return write_msr(static_cast<Msr>(static_cast<u32>(Msr::x2apic_base) + static_cast<u32>(reg) / 16), value);
  *reinterpret_cast<volatile u32*>(registers + static_cast<u32>(reg)) = value;
}

void send_command(u32 apic_id, u32 command) {
  if (mode == Mode::absent) return;
  if (mode == Mode::msr) {
    asm volatile("mfence" : : : "memory");  // WRMSR to the x2APIC does not order earlier stores (SDM vol. 3, 10.12.3)
    return write_msr(static_cast<Msr>(0x830), u64{apic_id} << 32 | command);
  }
  write(Register::command_high, apic_id << 24);
  write(Register::command, command);
  for (int i = 0; i < 100'000 && (read(Register::command) & k_command_pending) != 0; ++i) relax();
}
}  // namespace

void want_x2apic() { x2apic_wanted = true; }

void initialize(Hpa base) {
  const bool is_x2apic = (read_msr(Msr::apic_base) & k_base_x2apic) != 0 || (x2apic_wanted && features().x2apic);
  if (!is_x2apic) registers = static_cast<volatile u8*>(map_mmio(base, k_page_size, Caching::uncached));
  mode = is_x2apic ? Mode::msr : Mode::memory;
}

void enable() {
  const u64 enabled = read_msr(Msr::apic_base) | k_base_enable;
  write_msr(Msr::apic_base, enabled);
  if (mode == Mode::msr) write_msr(Msr::apic_base, enabled | k_base_x2apic);  // as the first CPU's: one mode for all (SDM vol. 3, 10.12.5)
  write(Register::task_priority, 0);
  write(Register::lvt_timer, k_masked | static_cast<u32>(Vector::timer));
  write(Register::lvt_performance, k_masked);
  write(Register::lvt_lint0, k_masked);
  write(Register::lvt_lint1, k_lvt_nmi);
  write(Register::lvt_error, k_masked);
  write(Register::timer_divide, k_divide_by_1);
  write(Register::spurious, k_software_enable | static_cast<u32>(Vector::spurious));
}

bool is_x2apic() { return mode == Mode::msr; }

u32 id() {
  const u32 value = read(Register::id);
  return mode == Mode::msr ? value : value >> 24;
}

void acknowledge() {
  if (mode != Mode::absent) write(Register::end_of_interrupt, 0);
}

void start_timer(u32 count) {
  write(Register::lvt_timer, static_cast<u32>(Vector::timer));
  write(Register::timer_initial, count);
}
u32 timer_count() { return read(Register::timer_current); }

void use_deadline_timer() {
  write(Register::lvt_timer, k_deadline_mode | static_cast<u32>(Vector::timer));
  asm volatile("mfence" : : : "memory");  // SDM vol. 3, 10.5.4.1: the LVT write before the first deadline
}
void set_deadline(u64 tsc) { write_msr(Msr::tsc_deadline, tsc); }

bool can_address(u32 apic_id) { return mode == Mode::msr || (mode == Mode::memory && apic_id < 0xff); }
void send(u32 apic_id, Vector vector) { send_command(apic_id, k_command_assert | static_cast<u32>(vector)); }
void send_init(u32 apic_id) { send_command(apic_id, k_command_assert | k_command_init); }
void send_startup(u32 apic_id, u8 start_page) { send_command(apic_id, k_command_assert | k_command_startup | start_page); }
void stop_other_cpus() {
  if (cpu_count() > 1) send_command(0, k_command_assert | k_command_nmi | k_command_all_but_self);
}
}  // namespace octavo::arch::local_apic
