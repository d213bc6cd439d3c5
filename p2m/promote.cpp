// SPDX-License-Identifier: Apache-2.0
// Promotion (P7): 512 leaves become one of the next order. The table is unlinked first and accesses fault and wait; after the flush
// no processor can set an A or D bit in it, so they are harvested; then the new leaf is linked. In place where the frames are contiguous,
// else by copying them into a fresh folio, which can be done in steps.
#include <algorithm>

#include "p2m/p2m.hpp"

namespace octavo::p2m {

/// The slot of the table over gfn, if its 512 entries are leaves of memory of one type that may be promoted.
Result<P2m::Slot> P2m::table_to_promote(Gfn gfn, Order order) {
  if (order == k_order_4k || !configuration_.orders.has(order)) return fail(Error::unsupported);
  if (!gfn.is_aligned(order)) return fail(Error::misaligned);
  OCTAVO_TRY(check_range(gfn, order.frames()));
  const unsigned level = level_of_order(order);
  if (const Slot found = find(gfn, level); found.level != level || !format_->is_table(found.entry, level) ||
                                           counts_of(Format::mfn_of(found.entry)).memory != k_entries) {
    return fail(Error::not_found);
  }
  Slot slot = descend(gfn, level, SplitCause::set);
  if (format_->decode_table(slot.entry).pending != Type::invalid) {
    push_down_table(slot);
    slot.entry = slot.table.load(slot.index);
  }
  const Table below(Format::mfn_of(slot.entry));
  const Type type = Format::type_of(below.load(0));
  if (type == Type::log_dirty) return fail(Error::not_permitted);
  for (unsigned i = 1; i < k_entries; ++i) {
    if (Format::type_of(below.load(i)) != type) return fail(Error::not_found);
  }
  return slot;
}

/// Does nothing but this table refer to its frames, folio by folio?
bool P2m::is_exclusive(const Table& below, unsigned level) const {
  const u64 step = order_of_level(level).frames();
  for (unsigned i = 0; i < k_entries;) {
    const Mfn mfn = Format::mfn_of(below.load(i));
    const auto folio = machine_->folio_at(mfn);
    if (!folio || folio->head != mfn || folio->references != folio->order.frames()) return false;
    const u64 leaves = folio->order.frames() / step;
    if (i + leaves > k_entries) return false;
    for (u64 n = 0; n < leaves; ++n) {
      if (Format::mfn_of(below.load(i + static_cast<unsigned>(n))) != mfn + n * step) return false;
    }
    i += static_cast<unsigned>(leaves);
  }
  return true;
}

/// What one leaf in place of the 512 says.
Leaf P2m::harvest(const Table& below, Type type) const {
  Leaf all{.mfn = Format::mfn_of(below.load(0)), .type = type};
  for (unsigned i = 0; i < k_entries; ++i) {
    const Leaf leaf = format_->decode_leaf(below.load(i));
    all.accessed = all.accessed || leaf.accessed;
    all.dirty = all.dirty || leaf.dirty;
    all.written = all.written || leaf.written;
  }
  return all;
}

/// Afterwards no processor and no reader is left in the table; it is not freed.
void P2m::unlink_for_promotion(const Slot& slot, Gfn gfn) {
  static_cast<void>(replace(slot, format_->encode(Leaf{.type = Type::transit}, slot.level)));
  note_changed(gfn, order_of_level(slot.level).frames());
  gather_.want_flush();
  gather_.flush();
}

Result<void> P2m::promote(Gfn gfn, Order order) {
  LockGuard guard(lock_);
  Slot slot = OCTAVO_TRY(table_to_promote(gfn, order));
  const unsigned level = slot.level - 1;
  const Table below(Format::mfn_of(slot.entry));
  const Mfn first = Format::mfn_of(below.load(0));
  for (unsigned i = 0; i < k_entries; ++i) {
    if (Format::mfn_of(below.load(i)) != first + i * order_of_level(level).frames()) return fail(Error::misaligned);
  }
  OCTAVO_TRY(machine_->join(first, order, configuration_.domain));
  unlink_for_promotion(slot, gfn);
  const Leaf leaf = harvest(below, Format::type_of(below.load(0)));
  for (unsigned i = 0; i < k_entries; ++i) account(below, below.load(i), level, -1);
  slot.entry = slot.table.load(slot.index);
  static_cast<void>(replace(slot, format_->encode(leaf, slot.level)));
  note_candidate(slot, gfn);
  gather_.drop_flushed_table(below.mfn());
  gather_.free();
  ++statistics_.promotions[slot.level];
  return {};
}

Result<void> P2m::begin_move(Gfn gfn, Order order, mm::Folio& target) {
  LockGuard guard(lock_);
  if (moving_) return fail(Error::busy);
  if (!target || target.order() != order) return fail(Error::invalid_argument);
  const Slot slot = OCTAVO_TRY(table_to_promote(gfn, order));
  const unsigned level = slot.level - 1;
  const Table below(Format::mfn_of(slot.entry));
  if (!is_exclusive(below, level)) return fail(Error::busy);
  // The new leaf's references are taken now, so that the end cannot fail.
  mm::Folio references = OCTAVO_TRY(machine_->reference(target.mfn(), order, configuration_.domain, mm::FrameKind::guest));
  unlink_for_promotion(slot, gfn);
  gather_.free();
  if (!is_exclusive(below, level)) {  // a reader pinned a frame just before it could see that the frame is on the move
    slot.table.store(slot.index, slot.entry);
    account(slot.table, format_->encode(Leaf{.type = Type::transit}, slot.level), slot.level, -1);
    account(slot.table, slot.entry, slot.level, +1);
    return fail(Error::busy);
  }
  moving_ = true;
  move_.gfn = gfn;
  move_.order = order;
  move_.table = below.mfn();
  move_.target = std::move(references);
  target.reset();
  move_.done = 0;
  move_.type = Format::type_of(below.load(0));
  for (unsigned i = 0; i < k_entries; ++i) account(below, below.load(i), level, -1);
  return {};
}

Result<void> P2m::continue_move(u64 budget, FolioSink* sink) {
  LockGuard guard(lock_);
  if (!moving_) return fail(Error::not_found);
  const unsigned level = level_of_order(move_.order) - 1;
  const Order leaf_order = order_of_level(level);
  const Table below(move_.table);
  for (; move_.done < move_.order.frames() && budget > 0; --budget, ++move_.done) {
    const Mfn source = Format::mfn_of(below.load(static_cast<unsigned>(move_.done / leaf_order.frames()))) + (move_.done & (leaf_order.frames() - 1));
    mm::copy_frames(move_.target.mfn() + move_.done, source, k_order_4k);
  }
  if (move_.done < move_.order.frames()) return fail(Error::again);
  Leaf leaf = harvest(below, move_.type);
  leaf.mfn = std::move(move_.target).keep();
  Slot slot = descend(move_.gfn, level + 1, SplitCause::set);
  static_cast<void>(replace(slot, format_->encode(leaf, slot.level)));
  note_candidate(slot, move_.gfn);
  for (unsigned i = 0; i < k_entries;) {  // folio by folio: is_exclusive() saw that the table maps each of them whole
    const Mfn mfn = Format::mfn_of(below.load(i));
    const Order order = machine_->folio_at(mfn)->order;
    mm::Folio old = gather_.take_flushed(mfn, order);
    if (sink != nullptr) sink->take(std::move(old));
    i += static_cast<unsigned>(order.frames() / leaf_order.frames());
  }
  gather_.drop_flushed_table(below.mfn());
  moving_ = false;
  ++statistics_.promotions[slot.level];
  ++statistics_.copied[slot.level];
  return {};
}

void P2m::abort_move(FolioSink* sink) {
  LockGuard guard(lock_);
  if (!moving_) return;
  const unsigned level = level_of_order(move_.order) - 1;
  const Slot slot = descend(move_.gfn, level + 1, SplitCause::set);
  static_cast<void>(replace(slot, format_->encode(TableLink{.table = move_.table, .accessed = true})));
  const Table below(move_.table);
  for (unsigned i = 0; i < k_entries; ++i) account(below, below.load(i), level, +1);
  mm::Folio target = std::move(move_.target);
  if (sink != nullptr) sink->take(std::move(target));
  moving_ = false;
}

/// An entry has changed: are all of its table's leaves of memory now?
void P2m::note_candidate(const Slot& slot, Gfn gfn) {
  if (slot.level >= k_max_leaf_level || counts_of(slot.table.mfn()).memory != k_entries) return;
  const Order order = order_of_level(slot.level + 1);
  if (!configuration_.orders.has(order)) return;
  const Candidate candidate{gfn.align_down(order), order};
  const auto at = [this](u32 i) -> Candidate& { return candidates_[(candidate_first_ + i) % candidates_.size()]; };
  for (u32 i = 0; i < candidate_count_; ++i) {
    if (at(i).gfn == candidate.gfn && at(i).order == order) return;
  }
  if (candidate_count_ == candidates_.size()) recount_ = Gfn{0};
  else at(candidate_count_++) = candidate;
}

Result<Candidate> P2m::next_candidate(u64 budget) {
  LockGuard guard(lock_);
  if (machine_ == nullptr) return fail(Error::not_found);
  if (candidate_count_ > 0) {
    const Candidate candidate = candidates_[candidate_first_];
    candidate_first_ = (candidate_first_ + 1) % static_cast<u32>(candidates_.size());
    --candidate_count_;
    return candidate;
  }
  for (; recount_ < limit(); --budget) {
    if (budget == 0) return fail(Error::again);
    const Slot slot = find(recount_, 1);
    const Gfn base = recount_.align_down(order_of_level(slot.level));
    recount_ = base + order_of_level(slot.level).frames();
    const bool full = configuration_.orders.has(k_order_2m) && format_->is_table(slot.entry, slot.level) && counts_of(Format::mfn_of(slot.entry)).memory == k_entries;
    if (full) return Candidate{base, k_order_2m};
    if (configuration_.orders.has(k_order_1g) && recount_.is_aligned(k_order_1g) && slot.level == 1 && counts_of(slot.table.mfn()).memory == k_entries) {
      return Candidate{base.align_down(k_order_1g), k_order_1g};
    }
  }
  return fail(Error::not_found);
}

void P2m::look_again() {
  LockGuard guard(lock_);
  recount_ = Gfn{0};
}

std::optional<Candidate> P2m::move_under_way() const {
  LockGuard guard(lock_);
  return moving_ ? std::optional(Candidate{move_.gfn, move_.order}) : std::nullopt;
}

u64 P2m::frames_in_transit() const {
  LockGuard guard(lock_);
  return moving_ ? move_.order.frames() : 0;
}
}  // namespace octavo::p2m
