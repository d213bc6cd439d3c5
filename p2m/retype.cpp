// SPDX-License-Identifier: Apache-2.0
// Changing types, at once and lazily (P8). A table entry can carry a pending type: all memory below that is ram_rw or log_dirty is
// to be read as that. It is pushed down one table at a time, when somebody has to change something below. On any path the topmost
// pending type is the latest, for nobody gets below it without pushing it down.
#include <algorithm>

#include "p2m/p2m.hpp"

namespace octavo::p2m {
namespace {
/// How many tables it takes to cut a leaf of that level at base along the ends of [first, end).
u64 tables_to_cut(unsigned level, Gfn base, Gfn first, Gfn end) {
  const Gfn top = base + order_of_level(level).frames();
  if (level == 0 || top <= first || end <= base || (first <= base && top <= end)) return 0;
  const Order below = order_of_level(level - 1);
  u64 tables = 1;
  const Gfn low = first.align_down(below);
  const Gfn high = Gfn{end - 1}.align_down(below);
  if (first > base) tables += tables_to_cut(level - 1, low, first, end);
  if (end < top && (high != low || first <= base)) tables += tables_to_cut(level - 1, high, first, end);
  return tables;
}
}  // namespace

/// The same frame under another type, with every A and D bit.
void P2m::retype(const Slot& slot, Gfn gfn, Type to) {
  Leaf leaf = format_->decode_leaf(slot.entry);
  const Type from = std::exchange(leaf.type, to);
  const u64 entry = format_->encode(leaf, slot.level);
  const u64 old = replace(slot, entry);
  if (const u64 late = old & ~entry & (format_->accessed | format_->dirty); late != 0) slot.table.set_bits(slot.index, late);
  note_candidate(slot, gfn);
  if (access_of(to).covers(access_of(from))) return;
  note_changed(gfn, order_of_level(slot.level).frames());
  gather_.want_flush();
}

/// The same table under another pending type.
void P2m::relink(const Slot& slot, Type pending) {
  TableLink link = format_->decode_table(slot.entry);
  link.pending = pending;
  const u64 entry = format_->encode(link);
  const u64 old = slot.table.exchange(slot.index, entry);
  if (const u64 late = old & ~entry & format_->accessed; late != 0) slot.table.set_bits(slot.index, late);
}

/// Writes a table's pending type into its entries. Children first: what is effective never changes, so no flush is due.
void P2m::push_down_table(const Slot& slot) {
  const TableLink link = format_->decode_table(slot.entry);
  const unsigned level = slot.level - 1;
  for (unsigned i = 0; i < k_entries; ++i) {
    Slot child{Table(link.table), i, level, 0, Type::invalid};
    child.entry = child.table.load(i);
    if (format_->is_table(child.entry, level)) {
      if (format_->decode_table(child.entry).pending != link.pending) relink(child, link.pending);
      continue;
    }
    Leaf leaf = format_->decode_leaf(child.entry);
    const Type type = with_pending(link.pending, leaf.type);
    if (type == leaf.type) continue;
    leaf.type = type;
    const u64 entry = format_->encode(leaf, level);
    const u64 old = replace(child, entry);
    if (const u64 late = old & ~entry & (format_->accessed | format_->dirty); late != 0) child.table.set_bits(i, late);
  }
  relink(slot, Type::invalid);
  ++statistics_.push_downs;
}

void P2m::push_down(Gfn gfn) {
  LockGuard guard(lock_);
  if (machine_ == nullptr || gfn >= limit()) return;
  const Slot slot = find(gfn, 0);
  if (slot.pending != Type::invalid) static_cast<void>(descend(gfn, slot.level, SplitCause::change_type));
}

void P2m::retype_table(Mfn mfn, unsigned level, Gfn base, Gfn first, Gfn end, Type from, Type to) {
  const bool lazy = from != Type::ram_ro && to != Type::ram_ro;
  const u64 step = order_of_level(level).frames();
  for (Gfn gfn = std::max(base, first).align_down(order_of_level(level)); gfn < std::min(end, Gfn{base + step * k_entries}); gfn += step) {
    Slot slot{Table(mfn), index(gfn, level), level, 0, Type::invalid};
    slot.entry = slot.table.load(slot.index);
    const bool whole = first <= gfn && gfn + step <= end;
    if (format_->is_table(slot.entry, level)) {
      const Type pending = format_->decode_table(slot.entry).pending;
      if (lazy && whole) {
        if (pending == to) continue;
        relink(slot, to);
        if (to == Type::log_dirty) {
          note_changed(gfn, step);
          gather_.want_flush();
        }
        continue;
      }
      if (pending != Type::invalid) push_down_table(slot);
    } else {
      if (Format::type_of(slot.entry) != from) continue;
      if (whole) {
        retype(slot, gfn, to);
        continue;
      }
      split(slot, SplitCause::change_type);
    }
    retype_table(Format::mfn_of(slot.table.load(slot.index)), level - 1, gfn, first, end, from, to);
  }
}

Result<void> P2m::change_type(Gfn gfn, u64 count, Type from, Type to) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, count));
  if (!is_ram(from) || !is_ram(to) || from == to) return fail(Error::invalid_argument);
  const Gfn end = gfn + count;
  // Only the leaves at the two ends can stick out of the range.
  Plan plan;
  Gfn counted{~u64{0}};
  for (const Gfn at : {gfn, Gfn{end - 1}}) {
    const Slot slot = find(at, 0);
    const Gfn base = at.align_down(order_of_level(slot.level));
    if (base == counted || with_pending(slot.pending, Format::type_of(slot.entry)) != from) continue;
    plan.tables += tables_to_cut(slot.level, base, gfn, end);
    counted = base;
  }
  OCTAVO_TRY(check_plan(plan));
  retype_table(root_, configuration_.levels - 1, Gfn{0}, gfn, end, from, to);
  gather_.complete();
  return {};
}
}  // namespace octavo::p2m
