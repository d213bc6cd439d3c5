// SPDX-License-Identifier: Apache-2.0
// The CPUs together. cpu_count() and flush_tag() of platform.hpp are implemented here. A CPU that waits for another (for a lock, or
// for its answer to a flush) goes on answering flushes itself, so waits with interrupts off cannot form a circle.
#pragma once
#include "arch/x86/platform.hpp"

namespace octavo::arch {

/// Makes the calling CPU forget all that it has cached of `tag`. One hook, set by the backend (SVM, VMX) when it starts. It
/// runs in handlers and in spin loops: it takes no lock.
using FlushHook = void (*)(TlbTag tag);
void set_flush_hook(FlushHook hook);

namespace smp {
/// Boot CPU, once: handlers for Vector::flush and Vector::wake.
void initialize();
/// The calling CPU is ready, and counts from now on. CPUs announce themselves in the order of their index.
void announce();
/// Does what other CPUs have asked of this one. Handler of Vector::flush; relax() calls it too.
void answer_requests();
/// Ends another CPU's wait_for_interrupt().
void wake(unsigned cpu_index);
}  // namespace smp
}  // namespace octavo::arch
