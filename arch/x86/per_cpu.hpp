// SPDX-License-Identifier: Apache-2.0
// What each CPU has of its own, found through FS: %fs:0 is the block's address, %fs:0x28 the stack canary (GCC's default
// place, which the distribution's libfdt.a was compiled for). A CPU touches only its own block, except where it says atomic.
#pragma once
#include <atomic>
#include <cstddef>

#include "arch/x86/descriptors.hpp"
#include "arch/x86/platform.hpp"

namespace octavo::arch {

struct alignas(64) PerCpu {
  PerCpu* self = nullptr;
  u32 index = 0;
  u32 apic_id = 0;
  u64 held_lock_ranks = 0;   ///< bit n: a lock of rank n is held (debug builds)
  void* backend = nullptr;   ///< the SVM or VMX backend's own per-CPU data
  void* current = nullptr;   ///< what the scheduler runs here
  u64 canary = 0;
  u64 timer_deadline_ns = 0; ///< 0: no timer set
  u64 interrupts = 0;        ///< handled since boot
  TaskState task_state;
  DescriptorTable descriptors;
};
static_assert(offsetof(PerCpu, self) == 0 && offsetof(PerCpu, canary) == 0x28);

[[nodiscard]] inline PerCpu& this_cpu() {
  PerCpu* self;
  asm("movq %%fs:0, %0" : "=r"(self));
  return *self;
}
/// The block of CPU `index` < k_max_cpus, whether it is up or not.
[[nodiscard]] PerCpu& cpu(unsigned index);

/// Gives the calling CPU block `index`, with a canary nobody can foretell. The first thing that a CPU does in C++; its
/// caller must not have a stack protector.
void adopt_per_cpu(unsigned index);
}  // namespace octavo::arch
