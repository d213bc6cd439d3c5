// SPDX-License-Identifier: Apache-2.0
// The two-phase free (P12): entries are unlinked, what they pointed to is collected here, the listeners are told, whoever may still
// use it flushes or finishes (mm/epoch.hpp), and only then references are dropped and tables go back to their pool. There is
// no other way to drop a table's reference or to return a table. Used under the lock of the tables that it serves.
#pragma once
#include "mm/epoch.hpp"
#include "mm/table_pool.hpp"

namespace octavo::mm {

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
  /// A table was unlinked, and everything below it has been gathered or is still in it.
  void table(Mfn mfn);
  /// Rights were taken away; a flush is due although nothing is to be freed.
  void want_flush() { flush_wanted_ = true; }

  /// Tells, flushes, frees. Does nothing when nothing was gathered. Cannot fail.
  void complete() {
    flush();
    free();
  }
  /// The first half of complete(): afterwards nobody uses what was gathered, and nothing is freed yet.
  void flush();
  /// The second half; only after flush().
  void free();
  /// Between flush() and free(): the references of a leaf that was unlinked before the flush, for whoever wants the memory.
  [[nodiscard]] Folio take_flushed(Mfn mfn, Order order);
  /// A table that was unlinked before the last flush(), and everything in it dropped or handed on.
  void drop_flushed_table(Mfn mfn);

  [[nodiscard]] u64 flushes() const { return flushes_; }

 private:
  struct Run {
    Mfn first;
    u64 frames;
  };
  static constexpr usize k_runs = 64;
  void check_flushed() const;
  void drop(Run run);

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
