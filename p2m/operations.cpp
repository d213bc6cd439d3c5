// SPDX-License-Identifier: Apache-2.0
// What changes ranges of the p2m: each plans, commits and gathers.
#include <algorithm>

#include "p2m/p2m.hpp"

namespace octavo::p2m {

Result<void> P2m::set_range(Gfn gfn, Mfn mfn, u64 count, Type type) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, count));
  if (!is_mapped(type)) return fail(Error::invalid_argument);
  if (!range_within(mfn.value(), count, configuration_.machine_limit.value())) return fail(Error::out_of_range);
  if (!may_become(gfn, count, type)) return fail(Error::exists);
  const std::optional<Mfn> replacement = is_ram(type) ? std::optional(mfn) : std::nullopt;
  const bool cuts_itself = OCTAVO_TRY(check_partial(gfn, count, replacement));
  const auto each_piece = [&](auto&& f) -> Result<void> {
    for (u64 done = 0; done < count;) {
      const Order order = mapping_order(gfn + done, mfn + done, count - done, type);
      OCTAVO_TRY(f(done, order));
      done += order.frames();
    }
    return {};
  };
  const auto reference = [&](u64 done, Order order) -> Result<mm::Folio> {
    if (is_ram(type)) return machine_->reference(mfn + done, order, configuration_.domain, mm::FrameKind::guest);
    OCTAVO_TRY(check_device_memory(mfn + done, order));
    return mm::Folio{};
  };
  Plan plan;
  const Result<void> planned = each_piece([&](u64 done, Order order) -> Result<void> {
    const mm::Folio trial = OCTAVO_TRY(reference(done, order));  // can it be had?
    const u64 step = cuts_itself ? k_entries : order.frames();   // a folio that is cut itself may have to be mapped in single frames
    for (u64 i = 0; i < order.frames(); i += step) plan_piece(plan, gfn + (done + i), cuts_itself ? 0 : level_of_order(order));
    return {};
  });
  if (!planned) return planned;
  OCTAVO_TRY(check_plan(plan));
  u64 held = 0;
  Result<void> prepared = carve_partial(gfn, count, replacement);
  if (prepared) {
    prepared = each_piece([&](u64 done, Order order) -> Result<void> {
      mm::Folio taken = OCTAVO_TRY(reference(done, order));
      static_cast<void>(std::move(taken).keep());
      held = done + order.frames();
      return {};
    });
  }
  if (!prepared) {
    for (; is_ram(type) && held > 0; --held) {  // frame by frame: a count knows no pieces
      const mm::Folio back(*machine_, mfn + (held - 1), k_order_4k);
    }
    cut_leaves(gfn, count, SplitCause::set);
    return prepared;
  }
  const Result<void> committed = each_piece([&](u64 done, Order order) -> Result<void> {
    const unsigned level = level_of_order(order);
    put_entry(gfn + done, level, format_->encode(Leaf{.mfn = mfn + done, .type = type}, level), SplitCause::set);
    return {};
  });
  gather_.complete();
  return committed;
}

Result<void> P2m::set(Gfn gfn, Mfn mfn, Order order, Type type) {
  if (order != k_order_4k && order != k_order_2m && order != k_order_1g) return fail(Error::invalid_argument);
  if (!configuration_.orders.has(order)) return fail(Error::unsupported);
  if (!gfn.is_aligned(order) || !mfn.is_aligned(order)) return fail(Error::misaligned);
  {
    LockGuard guard(lock_);
    OCTAVO_TRY(check_range(gfn, order.frames()));
    const std::optional<mm::Machine::FolioInfo> folio = is_ram(type) ? machine_->folio_at(mfn) : std::nullopt;
    if (folio && folio->order < order) return fail(Error::not_found);
  }
  return set_range(gfn, mfn, order.frames(), type);
}

Result<void> P2m::set_hole(Gfn gfn, u64 count, Type type) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, count));
  if (is_mapped(type) || type >= Type::transit) return fail(Error::invalid_argument);
  if (!may_become(gfn, count, type)) return fail(Error::exists);
  const u64 entry_of_hole = format_->encode(Leaf{.type = type}, 0);
  const auto piece_at = [&](u64 done) { return configuration_.orders.largest((gfn + done).value(), count - done); };
  // A piece inside a larger hole of the same type is there already.
  const auto is_there = [&](Gfn at, unsigned level) {
    const Slot slot = find(at, level);
    return slot.level > level && slot.entry == entry_of_hole;
  };
  Plan plan;
  for (u64 done = 0; done < count; done += piece_at(done).frames()) {
    const unsigned level = level_of_order(piece_at(done));
    if (!is_there(gfn + done, level)) plan_piece(plan, gfn + done, level);
  }
  OCTAVO_TRY(check_plan(plan));
  static_cast<void>(OCTAVO_TRY(check_partial(gfn, count, std::nullopt)));
  if (const Result<void> carved = carve_partial(gfn, count, std::nullopt); !carved) {
    cut_leaves(gfn, count, SplitCause::unmap);
    return carved;
  }
  for (u64 done = 0; done < count; done += piece_at(done).frames()) {
    const unsigned level = level_of_order(piece_at(done));
    if (is_there(gfn + done, level)) continue;
    put_entry(gfn + done, level, entry_of_hole, SplitCause::unmap);
    if (type != Type::mmio_emulated) collapse(gfn + done, level);
  }
  gather_.complete();
  return {};
}

Result<void> P2m::set_hole_some(Gfn& gfn, u64& count, Type type, u64 budget) {
  while (count > 0) {
    if (budget == 0) return fail(Error::again);
    // One step: no more than one leaf table, or the leaf or hole that lies there; of that what 512 of the largest entries hold.
    u64 step = std::min(count, k_order_2m.frames() - (gfn.value() & (k_order_2m.frames() - 1)));
    {
      LockGuard guard(lock_);
      OCTAVO_TRY(check_range(gfn, step));
      const Slot slot = find(gfn, 1);
      const Order order = std::min(order_of_level(slot.level), order_of_level(configuration_.orders.highest_level() + 1));
      if (slot.level > 1 && gfn.is_aligned(order) && count >= order.frames()) step = std::max(step, order.frames());
    }
    OCTAVO_TRY(set_hole(gfn, step, type));
    gfn += step;
    count -= step;
    budget -= std::min(budget, u64{k_entries});
  }
  return {};
}

Result<Taken> P2m::take_out(Gfn gfn, Order order, Type hole) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, order.frames()));
  if (!configuration_.orders.has(order) || is_mapped(hole)) return fail(Error::invalid_argument);
  if (!gfn.is_aligned(order)) return fail(Error::misaligned);
  const unsigned level = level_of_order(order);
  {
    const Slot slot = find(gfn, level);
    if (!is_own_memory(slot.entry, slot.level)) return fail(Error::not_found);
  }
  if (!may_become(gfn, order.frames(), hole)) return fail(Error::exists);
  Plan plan;
  plan_piece(plan, gfn, level);
  OCTAVO_TRY(check_plan(plan));
  OCTAVO_TRY(carve_partial(gfn, order.frames(), std::nullopt));
  const Slot slot = descend(gfn, level, SplitCause::take_out);
  const Leaf old = format_->decode_leaf(replace(slot, format_->encode(Leaf{.type = hole}, level)));
  note_changed(gfn, order.frames());
  gather_.want_flush();
  gather_.flush();
  Taken taken{gather_.take_flushed(old.mfn, order), old.type, old.dirty || !configuration_.has_dirty_bits, old.written};
  gather_.free();
  return taken;
}

void P2m::mark_written(Gfn gfn, u64 count) {
  LockGuard guard(lock_);
  if (machine_ == nullptr || !range_within(gfn.value(), count, limit().value())) return;
  for (const Gfn end = gfn + count; gfn < end;) {
    const Slot slot = find(gfn, 0);
    if (is_own_memory(slot.entry, slot.level) && (slot.entry & Format::k_written) == 0) slot.table.set_bits(slot.index, Format::k_written);
    gfn = gfn.align_down(order_of_level(slot.level)) + order_of_level(slot.level).frames();
  }
}

Statistics P2m::statistics() const {
  LockGuard guard(lock_);
  Statistics statistics = statistics_;
  statistics.frames_in_transit = moving_ ? move_.order.frames() : 0;
  statistics.flushes = gather_.flushes();
  statistics.tables = pool_.statistics();
  return statistics;
}
}  // namespace octavo::p2m
