// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/smp.hpp"

#include <atomic>

#include "arch/x86/interrupts.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/per_cpu.hpp"

namespace octavo::arch {
namespace {
constinit FlushHook flush_hook = nullptr;
constinit std::atomic<unsigned> cpus_ready{1};

/// requests[to].from[n]: the tag that CPU n wants `to` to flush, plus one; `to` writes 0 when it has. One slot for each pair, so nobody
/// waits for a slot; `any` saves looking at all of them.
struct alignas(64) Requests {
  std::atomic<bool> any{false};
  std::atomic<u64> from[k_max_cpus]{};
};
constinit Requests requests[k_max_cpus];

void flush_here(TlbTag tag) {
  if (flush_hook != nullptr) flush_hook(tag);
}
}  // namespace

void set_flush_hook(FlushHook hook) { flush_hook = hook; }
unsigned cpu_count() { return cpus_ready.load(std::memory_order_acquire); }

namespace smp {
void initialize() {
  set_interrupt_handler(Vector::flush, answer_requests);
  set_interrupt_handler(Vector::wake, [] {});
}

void announce() { cpus_ready.fetch_add(1, std::memory_order_release); }

void answer_requests() {
  Requests& mine = requests[cpu_index()];
  if (!mine.any.load(std::memory_order_relaxed) || !mine.any.exchange(false, std::memory_order_acquire)) return;
  for (unsigned i = 0; i < cpu_count(); ++i) {
    const u64 request = mine.from[i].load(std::memory_order_acquire);
    if (request == 0) continue;
    flush_here(static_cast<TlbTag>(request - 1));
    mine.from[i].store(0, std::memory_order_release);
  }
}

void wake(unsigned index) { local_apic::send(cpu(index).apic_id, Vector::wake); }
}  // namespace smp

void flush_tag(TlbTag tag, u64 cpus) {
  const unsigned self = cpu_index(), count = cpu_count();
  const u64 others = cpus & low_bits(count) & ~(u64{1} << self);
  for (unsigned i = 0; i < count; ++i) {
    if ((others >> i & 1) == 0) continue;
    requests[i].from[self].store(static_cast<u64>(tag) + 1, std::memory_order_relaxed);
    requests[i].any.store(true, std::memory_order_release);
    local_apic::send(cpu(i).apic_id, Vector::flush);
  }
  if ((cpus >> self & 1) != 0) flush_here(tag);
  for (unsigned i = 0; i < count; ++i) {
    while ((others >> i & 1) != 0 && requests[i].from[self].load(std::memory_order_acquire) != 0) relax();
  }
}
}  // namespace octavo::arch
