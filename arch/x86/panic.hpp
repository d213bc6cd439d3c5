// SPDX-License-Identifier: Apache-2.0
// The end: a dump that a person can read, then the machine stops (or, with exit=qemu, the emulator ends with a status). It
// takes no lock and allocates nothing; a panic within a panic stops at once. arch::panic() itself is in platform.hpp.
#pragma once
#include "arch/x86/interrupts.hpp"
#include "lib/format.hpp"

namespace octavo::arch {

/// Prints the frame, what the error code means, CRs and a backtrace, and stops.
[[noreturn]] void panic_on_exception(const InterruptFrame& frame);

/// Called in a panic after the dump; prints what the rooms above know (the ring of exits, the line that replays the run). One hook.
using PanicHook = void (*)(Sink&);
void set_panic_hook(PanicHook hook);

/// The chain of return addresses from frame pointer rbp on, one line each, named as far as symbols are loaded.
void print_backtrace(Sink& sink, u64 rip, u64 rbp);
}  // namespace octavo::arch
