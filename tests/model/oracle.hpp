// SPDX-License-Identifier: Apache-2.0
// What a guest should see at each gfn: runs of equal states in a map. So simple that it is right.
#pragma once
#include <algorithm>
#include <map>
#include <vector>

#include "p2m/type.hpp"

namespace octavo::model {

struct GuestState {
  p2m::Type type = p2m::Type::invalid;
  u64 mfn = 0;  ///< 0 where nothing is mapped
  bool operator==(const GuestState&) const = default;
};

class Oracle {
 public:
  [[nodiscard]] GuestState at(u64 gfn) const {
    const auto next = runs_.upper_bound(gfn);
    if (next == runs_.begin()) return {};
    const auto& [first, state] = *std::prev(next);
    return moved(state, gfn - first);
  }
  void put(u64 first, u64 count, GuestState state) {
    if (count == 0) return;
    const GuestState after = at(first + count);
    runs_.erase(runs_.lower_bound(first), runs_.upper_bound(first + count));
    runs_[first + count] = after;
    runs_[first] = state;
    forget_edge(first + count);
    forget_edge(first);
  }
  /// f(first, end, state) for each run inside [first, first + count).
  void each(u64 first, u64 count, auto&& f) const {
    for (u64 gfn = first; gfn < first + count;) {
      const auto next = runs_.upper_bound(gfn);
      const u64 end = next == runs_.end() ? first + count : std::min(next->first, first + count);
      f(gfn, end, at(gfn));
      gfn = end;
    }
  }
  /// The first gfn of each run and the last of the one before.
  [[nodiscard]] std::vector<u64> edges() const {
    std::vector<u64> gfns;
    for (const auto& [gfn, state] : runs_) {
      if (gfn > 0) gfns.push_back(gfn - 1);
      gfns.push_back(gfn);
    }
    return gfns;
  }
  /// How many gfns below limit have a type for which wanted(type).
  [[nodiscard]] u64 frames(u64 limit, auto&& wanted) const {
    u64 frames = 0;
    each(0, limit, [&](u64 first, u64 end, GuestState state) { if (wanted(state.type)) frames += end - first; });
    return frames;
  }

 private:
  [[nodiscard]] static GuestState moved(GuestState state, u64 by) { return {state.type, p2m::is_mapped(state.type) ? state.mfn + by : 0}; }
  /// Is what begins there only the continuation of the run before?
  void forget_edge(u64 gfn) {
    const auto edge = runs_.find(gfn);
    const GuestState before = edge == runs_.begin() ? GuestState{} : moved(std::prev(edge)->second, gfn - std::prev(edge)->first);
    if (edge->second == before) runs_.erase(edge);
  }
  std::map<u64, GuestState> runs_;
};
}  // namespace octavo::model
