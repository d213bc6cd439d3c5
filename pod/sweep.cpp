// SPDX-License-Identifier: Apache-2.0
// Taking back memory that holds nothing but zeroes (D5): what was never written since it was populated without a look at it, the rest
// after a quick look, then without the guest, for only then does a full look prove anything.
#include <algorithm>
#include <atomic>
#include <utility>

#include "mm/mapping.hpp"
#include "pod/pod.hpp"

namespace octavo::pod {
using p2m::Type;

namespace {
/// The guest may be writing the word at this moment.
u64 look(u64& word) { return std::atomic_ref<u64>(word).load(std::memory_order_relaxed); }

bool frame_is_zero(Mfn mfn) {
  const mm::Mapping<u64> frame(mfn);
  return std::ranges::all_of(frame.span(), [](u64& word) { return look(word) == 0; });
}

/// A few words here and there; most memory in use says so at once.
bool seems_zero(Mfn mfn, Order order) {
  for (u64 i = 0; i < order.frames(); i += std::max<u64>(order.frames() / 8, 1)) {
    const mm::Mapping<u64> frame(mfn + i);
    for (const unsigned word : {0u, 37u, 255u, 511u}) {
      if (look(frame[word]) != 0) return false;
    }
  }
  return true;
}

/// Every frame; each is one look off the budget, which may go below what is left: a look that has begun is finished.
bool is_zero(Mfn mfn, Order order, u64& budget) {
  for (u64 i = 0; i < order.frames(); ++i) {
    if (budget > 0) --budget;
    if (!frame_is_zero(mfn + i)) return false;
  }
  return true;
}
}  // namespace

bool Pod::try_reclaim(Gfn gfn, Order order, const p2m::Translation& there, u64& budget) {
  const bool unwritten = !there.dirty && !there.written;
  // A gigabyte is read through only by who has the time; otherwise the round for 2M finds the same, and the cache merges it.
  if (!unwritten && order > k_order_2m && budget < order.frames()) return false;
  if (!unwritten) {
    const mm::ReadSection section;
    if (p2m_.lookup(gfn).mfn != there.mfn || !seems_zero(there.mfn, order)) return false;
    // A part of a larger leaf costs that leaf, so it is worth a full look before.
    if (order < there.order && !is_zero(there.mfn, order, budget)) return false;
  }
  Result<p2m::Taken> taken = p2m_.take_out(gfn, order, Type::transit);
  if (!taken) return false;
  const Mfn mfn = taken->folio.mfn();
  const bool still_unwritten = !taken->dirty && !taken->written;
  const bool exclusive = machine_->is_exclusive(taken->folio);
  if (exclusive && (still_unwritten || is_zero(mfn, order, budget))) {
    if (!p2m_.set_hole(gfn, order.frames(), Type::pod)) arch::panic("pod: an entry cannot be put where memory just was");
    (still_unwritten ? statistics_.reclaimed_unwritten : statistics_.reclaimed_zero) += order.frames();
    file(std::move(taken->folio), true);
    return true;
  }
  if (!p2m_.set(gfn, mfn, order, taken->type)) arch::panic("pod: memory cannot be put back where it just was");
  p2m_.mark_written(gfn, order.frames());  // its D bit is gone, its contents are not
  ++statistics_.restored;
  return false;
}

/// Looks at what lies at the order's cursor and moves on; returns by how many frames.
u64 Pod::sweep_step(Order order, u64& budget) {
  Gfn& cursor = cursors_[p2m::level_of_order(order)];
  if (budget > 0) --budget;
  const p2m::Translation there = p2m_.lookup(cursor);
  const bool candidate = is_ram(there.type) && there.type != Type::log_dirty && there.order >= order;
  if (candidate) static_cast<void>(try_reclaim(cursor, order, there, budget));
  // Within a large leaf the sweep for small ones goes on piece by piece; everything else is passed as a whole.
  const Order step = candidate ? order : std::max(order, there.order);
  const Gfn next = cursor.align_down(step) + step.frames();
  const u64 moved = next - cursor;
  cursor = next < p2m_.limit() ? next : Gfn{0};
  return moved;
}

/// One step of a search; false when all rounds are over.
bool Pod::search_step(Search& search, u64& budget) {
  while (search.left == 0 || !p2m_.configuration().orders.has(p2m::order_of_level(search.level))) {
    if (std::exchange(search.begun, true)) {
      if (search.level == 0) return false;
      --search.level;
    }
    search.left = p2m_.limit().value();
    ++statistics_.searches;
  }
  search.left -= std::min(search.left, sweep_step(p2m::order_of_level(search.level), budget));
  return true;
}

u64 Pod::sweep_locked(Order order, u64 budget) {
  const u64 before = cache_.frames();
  const u64 pending_before = pending_;
  for (u64 left = p2m_.limit().value(); left > 0 && budget > 0;) left -= std::min(left, sweep_step(order, budget));
  return cache_.frames() - before + (pending_before - pending_);
}

u64 Pod::sweep(Order order, u64 budget) {
  LockGuard guard(lock_);
  if (machine_ == nullptr || !p2m_.configuration().orders.has(order)) return 0;
  return sweep_locked(order, budget);
}
}  // namespace octavo::pod
