// SPDX-License-Identifier: Apache-2.0
#include "mm/epoch.hpp"

namespace octavo::mm {

constinit std::array<ReadSection::PerCpu, arch::k_max_cpus> ReadSection::cpus_{};

void ReadSection::wait_for_all() {
  if (cpus_[arch::cpu_index()].depth != 0) arch::panic("mm: a reader waits for itself");
  const u64 now = generation_.fetch_add(1, std::memory_order_seq_cst) + 1;
  for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    // A section that begins from here on has seen `now`, and so everything that was unlinked before.
    while (cpus_[cpu].since.load(std::memory_order_seq_cst) < now) arch::relax();
  }
}
}  // namespace octavo::mm
