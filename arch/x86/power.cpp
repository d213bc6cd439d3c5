// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/power.hpp"

#include "arch/x86/acpi.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/uart.hpp"
#include "lib/log.hpp"

namespace octavo::arch {
namespace {
constinit bool exit_to_qemu = false;

constexpr u16 k_qemu_exit_port = 0xf4, k_reset_control_port = 0xcf9, k_keyboard_command_port = 0x64;

void drain_serial_lines() {
  com1().drain();
  com2().drain();
}

/// About a microsecond each on any machine: a port that nobody answers.
void pause_microseconds(int count) {
  constexpr u16 post_code_port = 0x80;
  for (int i = 0; i < count; ++i) out8(post_code_port, 0);
}

/// In legacy mode PM1 control is the firmware's; take it.
void enter_acpi_mode(const acpi::Fadt& fadt) {
  constexpr u16 sci_enabled = 1;
  if ((in16(fadt.pm1a_control) & sci_enabled) != 0 || fadt.smi_command == 0 || fadt.acpi_enable == 0) return;
  out8(fadt.smi_command, fadt.acpi_enable);
  for (int i = 0; i < 100'000 && (in16(fadt.pm1a_control) & sci_enabled) == 0; ++i) relax();
}
}  // namespace

void set_exit_to_qemu(bool wanted) { exit_to_qemu = wanted; }

bool exit_is_wanted() { return exit_to_qemu; }

void exit_machine(ExitCode code) {
  drain_serial_lines();
  if (exit_to_qemu) out8(k_qemu_exit_port, static_cast<u8>(code));
  halt_for_ever();
}

void power_off() {
  constexpr u16 sleep_type_shift = 10, sleep_enable = 1 << 13, sleep_type_mask = 7 << sleep_type_shift;
  const acpi::Machine& machine = acpi::machine();
  if (machine.fadt && machine.soft_off && machine.fadt->pm1a_control != 0) {
    drain_serial_lines();
    enter_acpi_mode(*machine.fadt);
    const auto sleep = [](u16 port, u8 type) {
      const u16 kept = static_cast<u16>(in16(port) & ~(sleep_type_mask | sleep_enable));
      out16(port, static_cast<u16>(kept | type << sleep_type_shift));
      out16(port, static_cast<u16>(kept | type << sleep_type_shift | sleep_enable));
    };
    sleep(machine.fadt->pm1a_control, machine.soft_off->pm1a);
    if (machine.fadt->pm1b_control != 0) sleep(machine.fadt->pm1b_control, machine.soft_off->pm1b);
    pause_microseconds(1'000'000);
  }
  log::error("the machine does not power off by itself; it is safe to switch it off now.");
  drain_serial_lines();
  halt_for_ever();
}

void reboot() {
  drain_serial_lines();
  if (const auto& fadt = acpi::machine().fadt; fadt && fadt->reset && fadt->reset->space == acpi::Register::Space::port && fadt->reset->address <= 0xffff) {
    out8(static_cast<u16>(fadt->reset->address), fadt->reset_value);
    pause_microseconds(100'000);
  }
  constexpr u8 system_reset = 2, reset_cpu = 6, pulse_reset_line = 0xfe;
  out8(k_reset_control_port, system_reset);
  out8(k_reset_control_port, reset_cpu);
  pause_microseconds(100'000);
  out8(k_keyboard_command_port, pulse_reset_line);
  pause_microseconds(100'000);
  log::error("the machine does not restart by itself; switch it off and on.");
  halt_for_ever();
}
}  // namespace octavo::arch
