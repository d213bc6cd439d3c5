// SPDX-License-Identifier: Apache-2.0
// Ways to end: each waits for the serial line to send what it has, and none returns.
#pragma once
#include "lib/int.hpp"

namespace octavo::arch {

/// What exit=qemu writes to QEMU's isa-debug-exit device; QEMU's status is twice that plus one.
enum class ExitCode : u8 { passed = 0x10, failed = 0x11, panic = 0x12 };

/// The command line has exit=qemu.
void set_exit_to_qemu(bool wanted);

/// With exit=qemu ends the emulator with `code`; else (or without such a device) halts this CPU for ever.
[[noreturn]] void exit_machine(ExitCode code);
/// ACPI S5; if that fails, halts.
[[noreturn]] void power_off();
/// ACPI reset register, port 0xCF9, keyboard controller, in this order; if all fail, halts.
[[noreturn]] void reboot();
}  // namespace octavo::arch
