// SPDX-License-Identifier: Apache-2.0
// Everything that an operation may change, bit for bit: the record of every frame that is in use, every table, every account. What
// is free is compared by count: a frame that was allocated and came back lies elsewhere on its list.
#pragma once
#include <cstring>
#include <vector>

#include "pod/pod.hpp"
#include "tests/model/world.hpp"

namespace octavo::model {

class Snapshot {
 public:
  explicit Snapshot(const World& world, const pod::Pod* pod = nullptr)
      : free_(world.machine.statistics().free_frames()) {
    for (u64 mfn = 0; mfn < world.simulated.frames(); ++mfn) {
      const mm::Frame* frame = world.machine.table().find(Mfn{mfn});
      const mm::FrameState state = frame->state();
      const bool is_used = state.is_head() && state.kind() != mm::FrameKind::free_clean && state.kind() != mm::FrameKind::free_dirty;
      if (is_used && state.kind() != mm::FrameKind::table) records_.push_back({mfn, state.raw(), 0});
    }
    add_table(world, world.root(), 3);
    p2m::Statistics p2m = world.p2m.statistics();
    add(p2m);
    if (pod == nullptr) return;
    const pod::Accounts accounts = pod->accounts();
    for (const u64 value : {accounts.populated, accounts.cached(), accounts.entries, accounts.target, accounts.pending, accounts.in_transit}) accounts_.push_back(value);
  }

  /// What differs from the state before, or nothing.
  [[nodiscard]] std::string difference(const Snapshot& before) const {
    if (tables_ != before.tables_) return "tables";
    if (free_ != before.free_) return "free frames";
    if (accounts_ != before.accounts_) return "accounts";
    if (records_.size() != before.records_.size()) return "folios";
    for (usize i = 0; i < records_.size(); ++i) {
      if (records_[i] != before.records_[i]) return "the record of frame " + std::to_string(records_[i].mfn);
    }
    return {};
  }

 private:
  struct Record {
    u64 mfn, state;
    u32 counts;  ///< a table's
    bool operator==(const Record&) const = default;
  };
  /// Tables that are in use; those in the pool are free.
  void add_table(const World& world, u64 table, unsigned level) {
    const mm::Frame& frame = *world.machine.table().find(to_mfn(Hpa{table}));
    records_.push_back({table >> k_page_shift, frame.state().raw(), frame.previous});
    for (u64 i = 0; i < 512; ++i) {
      const u64 entry = world.simulated.read64(Hpa{table + 8 * i});
      tables_.push_back(entry);
      const bool present = (entry & (world.nested == Nested::npt ? 1 : 7)) != 0;
      if (present && level > 0 && (entry >> 7 & 1) == 0) add_table(world, entry & 0x000F'FFFF'FFFF'F000, level - 1);
    }
  }
  void add(const p2m::Statistics& statistics) {
    for (const auto& level : statistics.leaves) accounts_.insert(accounts_.end(), std::begin(level), std::end(level));
    for (const u64 value : {statistics.frames_in_transit, statistics.tables.reserved, statistics.tables.used}) accounts_.push_back(value);
  }
  std::vector<Record> records_;
  std::vector<u64> tables_;
  std::vector<u64> accounts_;
  u64 free_;
};
}  // namespace octavo::model
