// SPDX-License-Identifier: Apache-2.0
// All that the rooms above `arch/` ask of the processor and that a host process cannot answer in the same way. The hypervisor
// implements it in arch/x86/platform.cpp, the host in tests/model/. Keep it small: it is the line between the two worlds.
#pragma once
#include <optional>
#include <string_view>

#include "lib/address.hpp"
#include "lib/int.hpp"

namespace octavo::arch {

inline constexpr unsigned k_max_cpus = 64;

/// A guest's TLB tag: ASID on SVM, VPID (and the EPT root) on VMX. 0 is the hypervisor's own.
enum class TlbTag : u32 { none = 0 };

/// Which CPU this is, 0 .. cpu_count()-1. Constant-time, from per-CPU data.
[[nodiscard]] unsigned cpu_index();
[[nodiscard]] unsigned cpu_count();

/// Nanoseconds since the hypervisor (or the test) started; monotonic on each CPU.
[[nodiscard]] u64 uptime_ns();

/// This CPU's time-stamp counter, and how often it counts in a second.
[[nodiscard]] u64 tsc();
[[nodiscard]] u64 tsc_hz();
/// Seconds since 1970-01-01 UTC, now, as the machine's clock tells.
[[nodiscard]] u64 wall_clock_seconds();

/// For spin loops.
void relax();

/// Debug builds check lock ranks here; release builds do nothing.
void lock_rank_enter(unsigned rank);
void lock_rank_leave(unsigned rank);

/// The address at which `frames` frames from mfn can be read and written by the hypervisor. Only mm::Mapping calls these
/// two; everyone else reaches memory through a Mapping, so that the direct map can go (memory.md F5, F6).
[[nodiscard]] void* map_frames(Mfn mfn, u64 frames);
void unmap_frames(void* address, u64 frames);

/// Drop every cached translation and paging-structure entry of `tag` on the CPUs in `cpus` (bit n = CPU n), and return when
/// all of them have. Called by mm's gather only.
void flush_tag(TlbTag tag, u64 cpus);

/// Sets this CPU's one-shot timer to raise an interrupt (and so an exit) when uptime_ns() reaches deadline_ns; replaces the
/// one before. A deadline in the past fires at once.
void set_timer(u64 deadline_ns);
void cancel_timer();

/// Let pending interrupts be handled now; with none pending, returns at once. Interrupts are off before and after.
void interrupt_window();
/// Halt until an interrupt has been handled. Interrupts are off before and after; one that is pending already ends the
/// wait at once.
void wait_for_interrupt();

/// Text to the console (serial line and screen). write sends "\r\n" for "\n", write_raw sends the bytes as they are.
void console_write(std::string_view text);
void console_write_raw(std::string_view text);
/// The next byte typed at the console (serial line), if any.
[[nodiscard]] std::optional<u8> console_read();

/// The operator channel's line (COM2), if there is one: the next byte, if any; and sending, which never waits: returns how many
/// bytes were taken (all of them if there is no line), and an interrupt tells when it takes more.
[[nodiscard]] std::optional<u8> channel_read();
[[nodiscard]] usize channel_write(std::string_view bytes);
/// Does no interrupt tell that a serial line has something to read or room to write? Then somebody must look often.
[[nodiscard]] bool serial_lines_are_polled();

/// How the machine ends, for whoever started it. Under `exit=qemu` QEMU ends with a status of its own for each; otherwise
/// the machine halts (and is not reset).
enum class ExitCode : u8 { passed = 0x10, failed = 0x11, panic = 0x12 };
[[noreturn]] void exit_machine(ExitCode code);
/// Is there somebody (`exit=qemu`) who waits for exit_machine?
[[nodiscard]] bool exit_is_wanted();
/// ACPI S5; if that fails, halts.
[[noreturn]] void power_off();
/// ACPI reset register, port 0xCF9, keyboard controller, in this order; if all fail, halts.
[[noreturn]] void reboot();

/// The invariant that `what` names is broken and going on would be unsafe: print everything and stop the machine (the
/// hypervisor), or fail the test (the host).
[[noreturn]] void panic(const char* what);
}  // namespace octavo::arch
