// SPDX-License-Identifier: Apache-2.0
// Who may still use what was unlinked (P12): processors in a guest, through their TLB, and the hypervisor's own lock-free readers.
// Both follow one pattern: the user says "I am in" and then looks at a generation; whoever unlinks advances the generation and
// then looks who is in. In one total order at least one of the two sees the other. tests/model-checking/gather.pml proves it.
#pragma once
#include <array>
#include <atomic>

#include "arch/x86/platform.hpp"

namespace octavo::mm {

/// The TLB tag of one address space and the processors that may use translations under it.
class TagUsers {
 public:
  /// Not while a processor is in.
  void set_tag(arch::TlbTag tag) { tag_ = tag; }
  [[nodiscard]] arch::TlbTag tag() const { return tag_; }

  /// On a processor, interrupts off, before it enters the guest. Flushes this processor's translations when any were
  /// unlinked since it was last in. Costs two locked operations.
  void enter(unsigned cpu) {
    inside_.fetch_or(u64{1} << cpu, std::memory_order_seq_cst);
    const u64 now = generation_.load(std::memory_order_seq_cst);
    if (seen_[cpu] != now) [[unlikely]] catch_up(cpu, now);
  }
  /// After it left the guest, before it takes any lock: a flush does not wait for it from here.
  void leave(unsigned cpu) { inside_.fetch_and(~(u64{1} << cpu), std::memory_order_seq_cst); }

  /// Everything that was unlinked before the call can be reached by no processor afterwards: those inside flush now, and
  /// the call waits for them; the others flush when they enter. Returns whether somebody had to be asked.
  bool flush() {
    generation_.fetch_add(1, std::memory_order_seq_cst);
    const u64 inside = inside_.load(std::memory_order_seq_cst);
    if (inside == 0) return false;
    arch::flush_tag(tag_, inside);
    return true;
  }

 private:
  [[gnu::noinline]] void catch_up(unsigned cpu, u64 now) {
    arch::flush_tag(tag_, u64{1} << cpu);
    seen_[cpu] = now;
  }

  arch::TlbTag tag_ = arch::TlbTag::none;
  std::atomic<u64> inside_{0};
  std::atomic<u64> generation_{1};
  std::array<u64, arch::k_max_cpus> seen_{};  ///< each element is its own processor's
};

/// While one lives on a processor, no table and no frame that a lookup found is reused. Nests. Inside, take no lock and
/// change nothing.
class [[nodiscard]] ReadSection {
 public:
  ReadSection() : cpu_(cpus_[arch::cpu_index()]) {
    if (cpu_.depth++ > 0) return;
    cpu_.since.store(0, std::memory_order_seq_cst);  // in, older than everything
    cpu_.since.store(generation_.load(std::memory_order_seq_cst), std::memory_order_release);
  }
  ~ReadSection() {
    if (--cpu_.depth == 0) cpu_.since.store(k_outside, std::memory_order_release);
  }
  ReadSection(const ReadSection&) = delete;
  ReadSection& operator=(const ReadSection&) = delete;

  /// Waits until every section that began before the call has ended. Not from inside of one.
  static void wait_for_all();

 private:
  static constexpr u64 k_outside = ~u64{0};
  struct alignas(64) PerCpu {
    std::atomic<u64> since{k_outside};
    u32 depth = 0;
  };
  static inline constinit std::atomic<u64> generation_{1};
  static std::array<PerCpu, arch::k_max_cpus> cpus_;
  PerCpu& cpu_;
};
}  // namespace octavo::mm
