// SPDX-License-Identifier: Apache-2.0
// All that the rooms above `arch/` ask of the processor and that a host process cannot answer in the same way. The hypervisor
// implements it in arch/x86/platform.cpp, the host in tests/model/. Keep it small: it is the line between the two worlds.
#pragma once
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

/// The invariant that `what` names is broken and going on would be unsafe: print everything and stop the machine (the
/// hypervisor), or fail the test (the host).
[[noreturn]] void panic(const char* what);
}  // namespace octavo::arch
