// SPDX-License-Identifier: Apache-2.0
// The two-phase free (P12): entries are unlinked, what they pointed to is collected here, the listeners are told, the CPUs that
// may still hold translations flush, and only then references are dropped and tables go back to their pool. There is no
// other way to drop a table's reference or to return a table. Used under the lock of the tables that it serves.
#pragma once
#include <atomic>

#include "mm/table_pool.hpp"

namespace octavo::mm {

/// The TLB tag of an address space and the CPUs that may hold translations under it.
class TagUsers {
 public:
  void set_tag(arch::TlbTag tag) { tag_ = tag; }
  [[nodiscard]] arch::TlbTag tag() const { return tag_; }
  /// To be called on a CPU before it enters the guest with this tag.
  void note(unsigned cpu) { cpus_.fetch_or(u64{1} << cpu, std::memory_order_seq_cst); }
  [[nodiscard]] u64 cpus() const { return cpus_.load(std::memory_order_seq_cst); }

 private:
  arch::TlbTag tag_ = arch::TlbTag::none;
  std::atomic<u64> cpus_{0};
};

class Gather {
 public:
  /// Who unlinks; called between unlink and flush so that it can tell whoever keeps copies of the entries (shadow).
  class Client {
   public:
    virtual void before_flush() = 0;

   protected:
    ~Client() = default;
  };

  Gather(TablePool& pool, TagUsers& users, Client& client) : pool_(pool), users_(users), client_(client) {}
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  /// A leaf over [mfn, mfn + 2^order) was unlinked; its references are ours now. May complete() when there is no more room.
  void leaf(Mfn mfn, Order order);
  /// A table was unlinked, and everything below it has been gathered.
  void table(Mfn mfn);
  /// Rights were taken away; a flush is due although nothing is to be freed.
  void want_flush() { flush_wanted_ = true; }
  /// Tells, flushes, frees. Does nothing when nothing was gathered. Cannot fail.
  void complete();

  [[nodiscard]] u64 flushes() const { return flushes_; }

 private:
  struct Run {
    Mfn first;
    u64 frames;
  };
  static constexpr usize k_runs = 64;

  TablePool& pool_;
  TagUsers& users_;
  Client& client_;
  std::array<Run, k_runs> runs_{};
  usize run_count_ = 0;
  u32 tables_ = k_no_frame;  ///< chained by Frame::next
  bool flush_wanted_ = false;
  u64 flushes_ = 0;
};
}  // namespace octavo::mm
