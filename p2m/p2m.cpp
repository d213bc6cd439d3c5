// SPDX-License-Identifier: Apache-2.0
#include "p2m/p2m.hpp"

#include <algorithm>

#include "p2m/table.hpp"

namespace octavo::p2m {

Result<void> P2m::initialize(mm::Machine& machine, const Configuration& configuration) {
  const bool sensible = configuration.domain != DomainId::hypervisor && configuration.levels >= 4 && configuration.levels <= 5 &&
                        configuration.machine_limit <= Mfn{u64{1} << 40} && configuration.table_frames > 0 &&
                        (configuration.orders.has(k_order_2m) || !configuration.orders.has(k_order_1g));
  if (!sensible || machine_ != nullptr) return fail(Error::invalid_argument);
  OCTAVO_TRY(pool_.reserve(machine, configuration.domain, configuration.table_frames));
  root_ = OCTAVO_TRY(pool_.take());
  machine_ = &machine;
  configuration_ = configuration;
  format_ = configuration.paging == Paging::npt ? &k_npt : &k_ept;
  users_.set_tag(configuration.tag);
  return {};
}

void P2m::destroy() {
  LockGuard guard(lock_);
  if (machine_ == nullptr) return;
  release_tables(Gfn{0}, configuration_.levels - 1, root_);
  gather_.complete();
  pool_.release();
  machine_ = nullptr;
}

P2m::Slot P2m::find(Gfn gfn, unsigned level) const {
  Table table(root_);
  for (unsigned at = configuration_.levels - 1;; --at) {
    const unsigned i = index(gfn, at);
    const u64 entry = table.load(i);
    if (at == level || !format_->is_table(entry, at)) return {std::move(table), i, at, entry};
    table = Table(Format::mfn_of(entry));
  }
}

Translation P2m::lookup(Gfn gfn) const {
  if (machine_ == nullptr || gfn >= limit()) return {};
  const Slot slot = find(gfn, 0);
  const Leaf leaf = format_->decode_leaf(slot.entry);
  const Order order = order_of_level(slot.level);
  Translation there{.type = leaf.type, .access = access_of(leaf.type), .order = order, .accessed = leaf.accessed, .dirty = leaf.dirty};
  if (is_mapped(leaf.type)) there.mfn = leaf.mfn + (gfn - gfn.align_down(order));
  return there;
}

// ---- planning: nothing is changed ----

Result<void> P2m::check_range(Gfn gfn, u64 count) const {
  if (machine_ == nullptr || count == 0) return fail(Error::invalid_argument);
  if (!range_within(gfn.value(), count, limit().value())) return fail(Error::out_of_range);
  return {};
}

Order P2m::mapping_order(Gfn gfn, Mfn mfn, u64 count, Type type) const {
  Order order = configuration_.orders.largest(gfn.value() | mfn.value(), count);
  if (!is_ram(type)) return order;
  // A leaf lies in one folio. Where there is none the reference will fail, at any order.
  const std::optional<mm::Machine::FolioInfo> folio = machine_->folio_at(mfn);
  while (order > k_order_4k && folio && order > folio->order) {
    order = configuration_.orders.largest(gfn.value() | mfn.value(), order.frames() - 1);
  }
  return order;
}

void P2m::each_entry(Gfn gfn, u64 count, auto&& f) const {
  const Gfn end = gfn + count;
  while (gfn < end) {
    const Slot slot = find(gfn, 0);
    const Gfn base = gfn.align_down(order_of_level(slot.level));
    f(base, slot.level, slot.entry);
    gfn = base + order_of_level(slot.level).frames();
  }
}

bool P2m::may_become(Gfn gfn, u64 count, Type type) const {
  bool legal = true;
  each_entry(gfn, count, [&](Gfn, unsigned, u64 entry) { legal = legal && is_legal_transition(Format::type_of(entry), type); });
  return legal;
}

Result<void> P2m::check_plan(const Plan& plan) const {
  if (plan.tables > pool_.available()) return fail(Error::no_table_memory);
  return {};
}

/// A device's memory is nobody's RAM.
Result<void> P2m::check_device_memory(Mfn mfn, Order order) const {
  for (u64 i = 0; i < order.frames(); ++i) {
    if (machine_->table().find(mfn + i) != nullptr) return fail(Error::not_owner);
  }
  return {};
}

void P2m::plan_piece(Plan& plan, Gfn gfn, unsigned level) const {
  for (unsigned at = find(gfn, level).level; at > level; --at) {
    const u64 key = gfn.value() >> 9 * at;
    if (plan.last_key[at] != key) ++plan.tables;
    plan.last_key[at] = key;
  }
}

/// How many references the p2m itself holds on [mfn, mfn + frames), were it mapped one to one at gfn, which may lie "below zero".
u64 P2m::references_from_tables(u64 gfn, Mfn mfn, u64 frames) const {
  if (gfn >= limit().value()) {
    const u64 missing = ~gfn + 1;
    if (missing >= frames) return 0;
    return references_from_tables(0, mfn + missing, frames - missing);
  }
  u64 references = 0;
  const Gfn first{gfn};
  each_entry(first, std::min(frames, limit() - first), [&](Gfn base, unsigned level, u64 entry) {
    if (!is_own_memory(entry, level)) return;
    const Gfn from = std::max(base, first);
    const Gfn to = std::min(Gfn{base + order_of_level(level).frames()}, Gfn{first + frames});
    if (Format::mfn_of(entry) + (from - base) == mfn + (from - first)) references += to - from;
  });
  return references;
}

/// Folios of which [gfn, gfn + count) loses a part become folios of their own there, so that the part can be freed (F3). What is
/// replaced by itself (`replacement`: the mfn that gfn is to get) is not lost. Only the frame table changes, and nobody can
/// tell, so an error later on needs no way back.
Result<void> P2m::carve_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement) {
  const Gfn end = gfn + count;
  for (Gfn at = gfn; at < end;) {
    const Slot slot = find(at, 0);
    const Gfn first = at;
    const Gfn base = first.align_down(order_of_level(slot.level));
    at = std::min(Gfn{base + order_of_level(slot.level).frames()}, end);
    if (!is_own_memory(slot.entry, slot.level)) continue;
    const Mfn mfn = Format::mfn_of(slot.entry) + (first - base);
    if (replacement && *replacement + (first - gfn) == mfn) continue;
    const std::optional<mm::Machine::FolioInfo> folio = machine_->folio_at(mfn);
    if (!folio) return fail(Error::corrupt);
    const u64 before = mfn - folio->head;
    if (first - gfn >= before && end - first >= folio->order.frames() - before) continue;  // all of it goes
    const auto mapped = [&](Mfn part, u64 frames) { return references_from_tables(first.value() + (part - mfn), part, frames); };
    for (u64 done = 0; done < at - first;) {
      unsigned order = folio->order.value();
      while (!Mfn{mfn + done}.is_aligned(Order{order}) || (at - first) - done < Order{order}.frames()) --order;
      OCTAVO_TRY(machine_->carve(mfn + done, Order{order}, configuration_.domain, mapped));
      done += Order{order}.frames();
    }
  }
  return {};
}

// ---- committing: nothing can fail ----

void P2m::account(u64 entry, unsigned level, i64 n) {
  if (format_->is_table(entry, level) || Format::type_of(entry) == Type::invalid || level > k_max_leaf_level) return;
  u64& count = statistics_.leaves[level][static_cast<usize>(Format::type_of(entry))];
  count += static_cast<u64>(n);
}

void P2m::note_changed(Gfn gfn, u64 count) {
  if (changed_first_ == changed_end_) {
    changed_first_ = gfn;
    changed_end_ = gfn + count;
  } else {
    changed_first_ = std::min(changed_first_, gfn);
    changed_end_ = std::max(changed_end_, Gfn{gfn + count});
  }
}

void P2m::before_flush() {
  if (listener_ != nullptr && changed_first_ != changed_end_) listener_->unlinked(changed_first_, changed_end_ - changed_first_);
  changed_first_ = changed_end_ = Gfn{};
}

/// Writes an entry as P13 says and returns what was there.
u64 P2m::replace(const Slot& slot, u64 entry) {
  u64 old = slot.entry;
  if (format_->is_present(old)) {
    old = slot.table.exchange(slot.index, entry);
  } else {
    slot.table.store(slot.index, entry);
  }
  account(old, slot.level, -1);
  account(entry, slot.level, +1);
  return old;
}

/// A leaf or hole becomes a table of 512 that say the same: the table is complete before the one store that links it. Needs
/// no flush, for a cached translation stays true. A and D bits that hardware sets meanwhile are carried over.
void P2m::split(const Slot& slot, SplitCause cause) {
  const Result<Mfn> taken = pool_.take();
  if (!taken) arch::panic("p2m: the plan reserved too few tables");
  const Table below(*taken);
  const unsigned level = slot.level - 1;
  Leaf leaf = format_->decode_leaf(slot.entry);
  for (unsigned i = 0; i < k_entries; ++i) {
    const u64 entry = format_->encode(leaf, level);
    below.prepare(i, entry);
    account(entry, level, +1);
    if (is_mapped(leaf.type)) leaf.mfn += order_of_level(level).frames();
  }
  const u64 marks = format_->accessed | format_->dirty;
  const u64 old = replace(slot, format_->encode(TableLink{.table = *taken, .accessed = leaf.accessed}));
  if (const u64 late = old & ~slot.entry & marks; format_->is_present(old) && late != 0) {
    for (unsigned i = 0; i < k_entries; ++i) below.set_bits(i, late);
  }
  if (is_mapped(leaf.type)) ++statistics_.splits[static_cast<usize>(cause)];
}

P2m::Slot P2m::descend(Gfn gfn, unsigned level, SplitCause cause) {
  Slot slot = find(gfn, level);
  while (slot.level > level) {
    split(slot, cause);
    slot = find(gfn, level);
  }
  return slot;
}

void P2m::put_entry(Gfn gfn, unsigned level, u64 entry, SplitCause cause) {
  const Slot slot = descend(gfn, level, cause);
  const u64 old = replace(slot, entry);
  if (!format_->is_present(old)) return;
  const bool same_frame = !format_->is_table(old, level) && format_->is_present(entry) && Format::mfn_of(old) == Format::mfn_of(entry);
  if (same_frame) {
    const u64 kept = (format_->accessed | format_->dirty | Format::k_written) & old & ~entry;
    if (kept != 0) slot.table.set_bits(slot.index, kept);
  }
  note_changed(gfn, order_of_level(level).frames());
  release(gfn, level, old);
}

/// What an unlinked entry pointed to goes to the gather.
void P2m::release(Gfn gfn, unsigned level, u64 entry) {
  if (format_->is_table(entry, level)) return release_tables(gfn, level - 1, Format::mfn_of(entry));
  if (!format_->is_present(entry)) return;
  if (is_ram(Format::type_of(entry))) {
    gather_.leaf(Format::mfn_of(entry), order_of_level(level));
  } else {
    gather_.want_flush();
  }
}

/// An unlinked table, all of its leaves and all tables below it. Its entries are left as they are: a processor may still walk it.
void P2m::release_tables(Gfn gfn, unsigned level, Mfn table) {
  const u64 step = order_of_level(level).frames();
  {
    const Table view(table);
    for (unsigned i = 0; i < k_entries; ++i) {
      const u64 entry = view.load(i);
      account(entry, level, -1);
      release(gfn + i * step, level, entry);
    }
  }
  gather_.table(table);
}

/// The same frame under another type, with every A and D bit.
void P2m::retype(const Slot& slot, Gfn gfn, Type to) {
  Leaf leaf = format_->decode_leaf(slot.entry);
  const Type from = std::exchange(leaf.type, to);
  const u64 entry = format_->encode(leaf, slot.level);
  const u64 old = replace(slot, entry);
  if (const u64 late = old & ~entry & (format_->accessed | format_->dirty); late != 0) slot.table.set_bits(slot.index, late);
  if (access_of(to).covers(access_of(from))) return;
  note_changed(gfn, order_of_level(slot.level).frames());
  gather_.want_flush();
}

// ---- the operations ----

Result<void> P2m::set_range(Gfn gfn, Mfn mfn, u64 count, Type type) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, count));
  if (!is_mapped(type)) return fail(Error::invalid_argument);
  if (!range_within(mfn.value(), count, configuration_.machine_limit.value())) return fail(Error::out_of_range);
  if (!may_become(gfn, count, type)) return fail(Error::exists);
  const auto each_piece = [&](auto&& f) -> Result<void> {
    for (u64 done = 0; done < count;) {
      const Order order = mapping_order(gfn + done, mfn + done, count - done, type);
      OCTAVO_TRY(f(done, order));
      done += order.frames();
    }
    return {};
  };
  const auto plan_tables = [&]() -> Result<void> {
    Plan plan;
    OCTAVO_TRY(each_piece([&](u64 done, Order order) -> Result<void> {
      plan_piece(plan, gfn + done, level_of_order(order));
      return {};
    }));
    return check_plan(plan);
  };
  OCTAVO_TRY(plan_tables());
  OCTAVO_TRY(carve_partial(gfn, count, is_ram(type) ? std::optional(mfn) : std::nullopt));
  OCTAVO_TRY(plan_tables());  // again: the carving may have cut the very folio that is to be mapped
  u64 held = 0;
  const Result<void> referenced = each_piece([&](u64 done, Order order) -> Result<void> {
    if (!is_ram(type)) return check_device_memory(mfn + done, order);
    mm::Folio reference = OCTAVO_TRY(machine_->reference(mfn + done, order, configuration_.domain, mm::FrameKind::guest));
    static_cast<void>(std::move(reference).keep());
    held = done + order.frames();
    return {};
  });
  if (!referenced) {
    while (held > 0) {  // frame by frame: a count knows no pieces
      --held;
      const mm::Folio back(*machine_, mfn + held, k_order_4k);
    }
    return referenced;
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
  if (is_ram(type) && order > k_order_4k) {
    const std::optional<mm::Machine::FolioInfo> folio = machine_->folio_at(mfn);
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
  OCTAVO_TRY(carve_partial(gfn, count, std::nullopt));
  for (u64 done = 0; done < count; done += piece_at(done).frames()) {
    const unsigned level = level_of_order(piece_at(done));
    if (!is_there(gfn + done, level)) put_entry(gfn + done, level, entry_of_hole, SplitCause::unmap);
  }
  gather_.complete();
  return {};
}

Result<void> P2m::change_type(Gfn gfn, u64 count, Type from, Type to) {
  LockGuard guard(lock_);
  OCTAVO_TRY(check_range(gfn, count));
  if (!is_ram(from) || !is_ram(to) || !is_legal_transition(from, to)) return fail(Error::invalid_argument);
  const Gfn end = gfn + count;
  // Only a leaf that sticks out of the range must be split: the pieces of it inside are aligned by the range's ends.
  const auto each_piece = [&](auto&& f) {
    for (Gfn at = gfn; at < end;) {
      const Slot slot = find(at, 0);
      const Order whole = order_of_level(slot.level);
      const Gfn base = at.align_down(whole);
      const Gfn next = base + whole.frames();
      if (Format::type_of(slot.entry) != from) {
        at = next;
        continue;
      }
      const Order order = base == at && next <= end ? whole : configuration_.orders.largest(at.value(), std::min(end, next) - at);
      f(at, level_of_order(order));
      at += order.frames();
    }
  };
  Plan plan;
  each_piece([&](Gfn at, unsigned level) { plan_piece(plan, at, level); });
  OCTAVO_TRY(check_plan(plan));
  each_piece([&](Gfn at, unsigned level) { retype(descend(at, level, SplitCause::change_type), at, to); });
  gather_.complete();
  return {};
}

Statistics P2m::statistics() const {
  LockGuard guard(lock_);
  Statistics statistics = statistics_;
  statistics.flushes = gather_.flushes();
  statistics.tables = pool_.statistics();
  return statistics;
}
}  // namespace octavo::p2m
