// SPDX-License-Identifier: Apache-2.0
#include "p2m/p2m.hpp"

#include <algorithm>
#include <bit>

namespace octavo::p2m {

Result<void> P2m::initialize(mm::Machine& machine, const Configuration& configuration) {
  const bool sensible = configuration.domain != DomainId::hypervisor && configuration.levels >= 4 && configuration.levels <= 5 &&
                        configuration.machine_limit <= Mfn{u64{1} << 40} && configuration.table_frames > 0 &&
                        (configuration.orders.has(k_order_2m) || !configuration.orders.has(k_order_1g));
  if (!sensible || machine_ != nullptr || pool_.statistics().reserved != 0) return fail(Error::invalid_argument);
  OCTAVO_TRY(pool_.reserve(machine, configuration.domain, configuration.table_frames));
  root_ = OCTAVO_TRY(pool_.take());
  machine_ = &machine;
  machine.table().find(root_)->previous = std::bit_cast<u32>(Counts{});
  teardown_ = Gfn{0};
  statistics_ = {};
  configuration_ = configuration;
  format_ = configuration.paging == Paging::npt ? &k_npt : &k_ept;
  users_.set_tag(configuration.tag);
  return {};
}

bool P2m::destroy_some(u64 budget) {
  abort_move();
  LockGuard guard(lock_);
  if (machine_ == nullptr) return pool_.release_some(budget);
  u64 used = 0;
  for (; teardown_ < limit() && used < budget; ++used) {
    // One entry of level 1 at a time: a leaf table of 512 at most, and the tables above that become empty with it.
    const Slot slot = find(teardown_, 1);
    const Gfn base = teardown_.align_down(order_of_level(slot.level));
    if (slot.entry != 0) {
      const u64 old = replace(slot, 0);
      note_changed(base, order_of_level(slot.level).frames());
      release(base, slot.level, old);
      collapse(base, slot.level);
      used += k_entries;
    }
    teardown_ = base + order_of_level(slot.level).frames();
  }
  if (teardown_ < limit()) {
    gather_.complete();
    return false;
  }
  release_tables(Gfn{0}, configuration_.levels - 1, root_);
  gather_.complete();
  machine_ = nullptr;  // what is left is the pool's
  return pool_.release_some(budget);
}

P2m::Slot P2m::find(Gfn gfn, unsigned level) const {
  Table table(root_);
  Type pending = Type::invalid;
  for (unsigned at = configuration_.levels - 1;; --at) {
    const unsigned i = index(gfn, at);
    const u64 entry = table.load(i);
    if (at == level || !format_->is_table(entry, at)) return {std::move(table), i, at, entry, pending};
    if (pending == Type::invalid) pending = format_->decode_table(entry).pending;  // the topmost is the latest
    table = Table(Format::mfn_of(entry));
  }
}

Translation P2m::lookup(Gfn gfn) const {
  if (machine_ == nullptr || gfn >= limit()) return {};
  const mm::ReadSection section;
  const Slot slot = find(gfn, 0);
  const Leaf leaf = format_->decode_leaf(slot.entry);
  const Type type = with_pending(slot.pending, leaf.type);
  const Order order = order_of_level(slot.level);
  Translation there{.type = type, .access = access_of(type), .order = order, .accessed = leaf.accessed,
                    .dirty = leaf.dirty || !configuration_.has_dirty_bits, .written = leaf.written};
  if (is_mapped(type)) there.mfn = leaf.mfn + (gfn - gfn.align_down(order));
  return there;
}

// ---- planning: nothing is changed ----

Result<void> P2m::check_range(Gfn gfn, u64 count) const {
  if (machine_ == nullptr || count == 0) return fail(Error::invalid_argument);
  if (!range_within(gfn.value(), count, limit().value())) return fail(Error::out_of_range);
  if (moving_ && gfn < move_.gfn + move_.order.frames() && move_.gfn < gfn + count) return fail(Error::busy);
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
    const Order order = order_of_level(slot.level);
    gfn = gfn.align_down(order);
    u64 entry = slot.entry;
    for (unsigned i = slot.index;; entry = slot.table.load(i)) {  // on in this table, as far as it has leaves and holes
      if (format_->is_table(entry, slot.level)) break;
      f(gfn, slot.level, entry);
      gfn += order.frames();
      if (++i == k_entries || gfn >= end) break;
    }
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

/// f(first, count, mfn, folio) for each run of memory in one leaf of [gfn, gfn + count) whose folio loses a part. What is replaced by
/// itself (`replacement`: the mfn that gfn is to get) is not lost.
Result<void> P2m::each_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement, auto&& f) const {
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
    OCTAVO_TRY(f(first, at - first, mfn, *folio));
  }
  return {};
}

/// Can each folio that loses a part be cut? Says whether one of them is to be mapped, too. Changes nothing.
Result<bool> P2m::check_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement) const {
  bool cuts_itself = false;
  u64 summed_gfn = 0;              // where the head of the folio that was summed last would be mapped,
  std::optional<Mfn> summed_head;  // and which one it was: once for all the leaves over it (P15)
  OCTAVO_TRY(each_partial(gfn, count, replacement, [&](Gfn first, u64, Mfn mfn, const mm::Machine::FolioInfo& folio) -> Result<void> {
    const u64 frames = folio.order.frames();
    const u64 gfn_of_head = first.value() - (mfn - folio.head);
    if (summed_head != folio.head || summed_gfn != gfn_of_head) {
      if (references_from_tables(gfn_of_head, folio.head, frames) != folio.references) return fail(Error::busy);
      summed_gfn = gfn_of_head;
      summed_head = folio.head;
    }
    cuts_itself = cuts_itself || (replacement && *replacement < folio.head + frames && folio.head < *replacement + count);
    return {};
  }));
  return cuts_itself;
}

/// Folios of which [gfn, gfn + count) loses a part become folios of their own there, so that the part can be freed (F3). After
/// check_partial() it fails only when somebody has taken a reference since; the caller has to cut_leaves() then.
Result<void> P2m::carve_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement) {
  return each_partial(gfn, count, replacement, [&](Gfn first, u64 frames, Mfn mfn, const mm::Machine::FolioInfo& folio) -> Result<void> {
    const auto mapped = [&](Mfn part, u64 n) { return references_from_tables(first.value() + (part - mfn), part, n); };
    for (u64 done = 0; done < frames;) {
      unsigned order = folio.order.value();
      while (!Mfn{mfn + done}.is_aligned(Order{order}) || frames - done < Order{order}.frames()) --order;
      OCTAVO_TRY(machine_->carve(mfn + done, Order{order}, configuration_.domain, mapped));
      done += Order{order}.frames();
    }
    return {};
  });
}

/// After an error behind carve_partial(): no leaf may lie over several folios, so the leaves at the two ends are split as well. The plan
/// has reserved the tables for that.
void P2m::cut_leaves(Gfn gfn, u64 count, SplitCause cause) {
  for (const Gfn end : {gfn, Gfn{gfn + count}}) {
    if (end >= limit()) continue;
    for (Slot slot = find(end, 0); is_own_memory(slot.entry, slot.level) && !end.is_aligned(order_of_level(slot.level)); slot = find(end, 0)) {
      split(slot, cause);
    }
  }
}

// ---- committing: nothing can fail ----

P2m::Counts P2m::counts_of(Mfn table) const { return std::bit_cast<Counts>(machine_->table().find(table)->previous); }

void P2m::account(const Table& table, u64 entry, unsigned level, i64 n) {
  ++changes_;
  const bool is_table = format_->is_table(entry, level);
  const Type type = is_table ? Type::invalid : Format::type_of(entry);
  if (type != Type::invalid && level <= k_max_leaf_level) statistics_.leaves[level][static_cast<usize>(type)] += static_cast<u64>(n);
  u32& record = machine_->table().find(table.mfn())->previous;
  Counts counts = std::bit_cast<Counts>(record);
  const u32 step = static_cast<u32>(n) & 1023;
  if (is_table || type != Type::invalid) counts.filled = (counts.filled + step) & 1023;
  if (is_ram(type)) counts.memory = (counts.memory + step) & 1023;
  if (type == Type::pod) counts.pod = (counts.pod + step) & 1023;
  record = std::bit_cast<u32>(counts);
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
  account(slot.table, old, slot.level, -1);
  account(slot.table, entry, slot.level, +1);
  return old;
}

/// A leaf or hole becomes a table of 512 that say the same: the table is complete before the one store that links it. Needs
/// no flush, for a cached translation stays true. A and D bits that hardware sets meanwhile are carried over.
void P2m::split(const Slot& slot, SplitCause cause) {
  const Result<Mfn> taken = pool_.take();
  if (!taken) arch::panic("p2m: the plan reserved too few tables");
  const Table below(*taken);
  machine_->table().find(*taken)->previous = std::bit_cast<u32>(Counts{});
  const unsigned level = slot.level - 1;
  Leaf leaf = format_->decode_leaf(slot.entry);
  for (unsigned i = 0; i < k_entries; ++i) {
    const u64 entry = format_->encode(leaf, level);
    below.prepare(i, entry);
    account(below, entry, level, +1);
    if (is_mapped(leaf.type)) leaf.mfn += order_of_level(level).frames();
  }
  const u64 marks = format_->accessed | format_->dirty;
  const u64 old = replace(slot, format_->encode(TableLink{.table = *taken, .accessed = leaf.accessed}));
  if (const u64 late = old & ~slot.entry & marks; format_->is_present(old) && late != 0) {
    for (unsigned i = 0; i < k_entries; ++i) below.set_bits(i, late);
    slot.table.set_bits(slot.index, late & format_->accessed);  // ageing passes by a table whose entry is not accessed
  }
  if (is_mapped(leaf.type)) ++statistics_.splits[static_cast<usize>(cause)];
}

/// The slot at that level: what is larger is split, what is pending above is written down on the way.
P2m::Slot P2m::descend(Gfn gfn, unsigned level, SplitCause cause) {
  Table table(root_);
  for (unsigned at = configuration_.levels - 1;; --at) {
    Slot slot{std::move(table), index(gfn, at), at, 0, Type::invalid};
    slot.entry = slot.table.load(slot.index);
    if (at == level) return slot;
    if (!format_->is_table(slot.entry, at)) {
      split(slot, cause);
    } else if (format_->decode_table(slot.entry).pending != Type::invalid) {
      push_down_table(slot);
    }
    table = Table(Format::mfn_of(slot.table.load(slot.index)));
  }
}

void P2m::put_entry(Gfn gfn, unsigned level, u64 entry, SplitCause cause) {
  const Slot slot = descend(gfn, level, cause);
  const u64 old = replace(slot, entry);
  note_candidate(slot, gfn);
  if (!format_->is_present(old)) return;
  u64 kept = 0;
  if (format_->is_table(old, level)) {
    // Its leaves may have mapped the same frames, and who writes through them is known after the flush only: count it as written.
    if (is_own_memory(entry, level)) kept = Format::k_written;
  } else if (format_->is_present(entry) && Format::mfn_of(old) == Format::mfn_of(entry)) {
    kept = (format_->accessed | format_->dirty | Format::k_written) & old & ~entry;
  }
  if (kept != 0) slot.table.set_bits(slot.index, kept);
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
      account(view, entry, level, -1);
      release(gfn + i * step, level, entry);
    }
  }
  gather_.table(table);
}

/// A table of nothing but holes of one kind becomes that hole, and so on upwards (P7: empty tables are freed).
void P2m::collapse(Gfn gfn, unsigned level) {
  for (; level + 1 < configuration_.levels; ++level) {
    const Slot parent = find(gfn, level + 1);
    if (!format_->is_table(parent.entry, parent.level)) return;
    const Mfn table = Format::mfn_of(parent.entry);
    const Counts counts = counts_of(table);
    const bool empty = counts.filled == 0;
    const bool pod = counts.pod == k_entries && level < k_max_leaf_level && configuration_.orders.has(order_of_level(level + 1));
    if (!empty && !pod) return;
    static_cast<void>(replace(parent, format_->encode(Leaf{.type = pod ? Type::pod : Type::invalid}, parent.level)));
    release_tables(gfn.align_down(order_of_level(level + 1)), level, table);
    ++statistics_.collapses;
  }
}
}  // namespace octavo::p2m
