// SPDX-License-Identifier: Apache-2.0
// The rest of arch/ as a host process answers it: a clock that only tests move, no console, no extended state.
#include "arch/x86/guest_context.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/version.hpp"
#include "tests/model/machine.hpp"

namespace octavo::arch {
namespace {
constexpr u64 k_tsc_hz = 1'000'000'000;  // one tick a nanosecond, as under QEMU's -icount shift=0
thread_local u64 extended_control = 1;
}  // namespace

u64 tsc() { return uptime_ns(); }
u64 tsc_hz() { return k_tsc_hz; }
u64 wall_clock_seconds() { return 1'767'225'600 + uptime_ns() / 1'000'000'000; }  // 2026-01-01

std::string_view version() { return "model"; }
std::string_view git_id() { return "model"; }
void console_write(std::string_view) {}
void console_write_raw(std::string_view) {}
void exit_machine(ExitCode) { throw model::Panic("exit_machine"); }
bool exit_is_wanted() { return false; }
void power_off() { throw model::Panic("power_off"); }
void reboot() { throw model::Panic("reboot"); }

void save_extended_state(void*, u64) {}
void load_extended_state(const void*, u64, u64 xcr0) { extended_control = xcr0; }
void set_xcr0(u64 value) { extended_control = value; }
u64 xcr0() { return extended_control; }
void save_debug_addresses(u64 (&)[4]) {}
void load_debug_addresses(const u64 (&)[4]) {}
}  // namespace octavo::arch
