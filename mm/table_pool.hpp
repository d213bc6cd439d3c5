// SPDX-License-Identifier: Apache-2.0
// A domain's own reserve of frames for translation tables, set aside when the domain is built (F7): a fault takes from here and
// never from the machine, so no guest can starve another. Tables come back only through mm::Gather, after the flush.
#pragma once
#include "mm/machine.hpp"

namespace octavo::mm {

class TablePool {
 public:
  struct Statistics {
    u64 reserved = 0;  ///< frames that the pool owns
    u64 used = 0;      ///< of these, handed out
    u64 peak = 0;      ///< the most that were ever used at a time
  };

  TablePool() = default;
  TablePool(const TablePool&) = delete;
  TablePool& operator=(const TablePool&) = delete;
  /// Returns every frame to the machine; none may be in use.
  ~TablePool() { release(); }

  /// Reserves `frames` more frames for `owner`. All or nothing; out_of_memory.
  [[nodiscard]] Result<void> reserve(Machine& machine, DomainId owner, u64 frames);
  /// Gives all frames back to the machine; tables that are still in use are a broken invariant.
  void release() { while (!release_some(~u64{0})) {} }
  /// The same, at most `budget` frames at a time; true when all are back.
  [[nodiscard]] bool release_some(u64 budget);

  [[nodiscard]] u64 available() const;
  /// A table frame; its contents are zero. no_table_memory when there is none. A caller that has seen available() >= n under
  /// the lock that serializes take() can take n.
  [[nodiscard]] Result<Mfn> take();
  [[nodiscard]] Statistics statistics() const;

 private:
  friend class Gather;
  void give_back(Mfn table);
  void push(Mfn table);

  mutable SpinLock<LockRank::table_pool> lock_;
  Machine* machine_ = nullptr;
  u32 first_ = k_no_frame;  ///< chained by Frame::next
  Statistics statistics_{};
};
}  // namespace octavo::mm
