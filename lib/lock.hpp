// SPDX-License-Identifier: Apache-2.0
// Spin locks with ranks. A CPU may take a lock only when its rank is higher than that of every lock that it holds, so no
// cycle can arise; debug builds check it. Interrupts are off whenever the hypervisor runs, so no lock is taken in one.
#pragma once
#include <atomic>

#include "arch/x86/platform.hpp"
#include "lib/int.hpp"

namespace octavo {

/// The order in which locks nest, outermost first. Two locks of one rank are never held together.
enum class LockRank : u8 { domain_list, domain, scheduler, marks, shadow, pod, p2m, gather, table_pool, heap, frame_table, console };

template <LockRank rank>
class SpinLock {
 public:
  constexpr SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() {
    arch::lock_rank_enter(static_cast<unsigned>(rank));
    while (taken_.exchange(true, std::memory_order_acquire)) {
      while (taken_.load(std::memory_order_relaxed)) arch::relax();
    }
  }
  void unlock() {
    taken_.store(false, std::memory_order_release);
    arch::lock_rank_leave(static_cast<unsigned>(rank));
  }

 private:
  std::atomic<bool> taken_{false};
};

/// Holds a lock for a scope. (std::lock_guard is not in the freestanding library.)
template <class Lock>
class [[nodiscard]] LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};
}  // namespace octavo
