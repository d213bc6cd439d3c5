// SPDX-License-Identifier: Apache-2.0
#include "mm/machine.hpp"

#include "mm/mapping.hpp"

namespace octavo::mm {
namespace {

/// How many frames of [begin, end) lie in whole, aligned runs of an order.
u64 whole_frames(u64 begin, u64 end, Order order) {
  const u64 low = align_up(begin, order.frames());
  const u64 high = align_down(end, order.frames());
  return high > low ? high - low : 0;
}

/// The whole gigabytes, then the whole 2M runs, that taking [at, at + count) out of [begin, end) breaks; less is better.
u64 breakage(u64 begin, u64 end, u64 at, u64 count) {
  u64 cost = 0;
  for (const Order order : {k_order_1g, k_order_2m}) {
    cost += whole_frames(begin, end, order) - whole_frames(begin, at, order) - whole_frames(at + count, end, order);
  }
  return cost;
}
}  // namespace

void Folio::reset() {
  if (Machine* machine = std::exchange(machine_, nullptr)) machine->drop(mfn_, references_);
}

Result<void> Machine::initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram,
                                 Contents contents) {
  OCTAVO_TRY(table_.lay_out(all_ram));
  const u64 need = table_.table_frames();
  std::optional<u64> place;
  u64 least = ~u64{0};
  for (const arch::MemoryRange& range : free_ram) {
    const u64 begin = range.base.value() >> k_page_shift;
    const u64 end = begin + (range.size >> k_page_shift);
    if (end - begin < need) continue;
    for (const u64 at : {begin, end - need}) {
      const u64 cost = breakage(begin, end, at, need);
      if (cost < least) {
        least = cost;
        place = at;
      }
    }
  }
  if (!place) return fail(Error::out_of_memory);
  table_.place(Mfn{*place});
  free_.attach(table_, DomainId::hypervisor);
  for (const arch::MemoryRange& range : free_ram) {
    const u64 begin = range.base.value() >> k_page_shift;
    const u64 end = begin + (range.size >> k_page_shift);
    if (*place >= begin && *place < end) {
      OCTAVO_TRY(donate(Mfn{begin}, *place - begin, contents));
      OCTAVO_TRY(donate(Mfn{*place + need}, end - *place - need, contents));
    } else {
      OCTAVO_TRY(donate(Mfn{begin}, end - begin, contents));
    }
  }
  return {};
}

Result<void> Machine::donate(Mfn first, u64 count, Contents contents) {
  LockGuard guard(lock_);
  for (u64 done = 0; done < count;) {
    const Mfn mfn = first + done;
    unsigned order = 0;
    while (order < k_max_order.value() && mfn.is_aligned(Order{order + 1}) && count - done >= Order{order + 1}.frames()) ++order;
    if (table_.find(mfn) == nullptr || table_.find(mfn + (Order{order}.frames() - 1)) == nullptr) return fail(Error::out_of_range);
    if (table_.head_of(mfn) != nullptr) return fail(Error::exists);
    free_.insert(mfn, Order{order}, contents == Contents::zero ? FrameKind::free_clean : FrameKind::free_dirty);
    total_frames_ += Order{order}.frames();
    done += Order{order}.frames();
  }
  return {};
}

void Machine::count(FrameKind kind, Order order, bool more) {
  u64& frames = used_[static_cast<usize>(kind)];
  frames = more ? frames + order.frames() : frames - order.frames();
}

Result<Machine::Allocation> Machine::take(Order order, DomainId owner, FrameKind kind, bool prefer_clean) {
  if (order > k_max_order) return fail(Error::invalid_argument);
  LockGuard guard(lock_);
  const std::optional<Buddy::Block> block = free_.take(order, prefer_clean);
  if (!block) return fail(Error::out_of_memory);
  count(kind, order, true);
  table_.find(block->mfn)->set_state(FrameState{owner, kind, order, 1});
  return Allocation{Folio{*this, block->mfn, order}, block->kind == FrameKind::free_clean};
}

Result<Folio> Machine::allocate(Order order, DomainId owner, FrameKind kind, Contents contents) {
  Allocation allocation = OCTAVO_TRY(take(order, owner, kind, contents == Contents::zero));
  if (contents == Contents::zero && !allocation.is_zero) zero_frames(allocation.folio.mfn(), order);
  return std::move(allocation.folio);
}

Result<Folio> Machine::reference(Mfn mfn, Order order, DomainId owner, FrameKind kind) {
  Frame* frame = table_.head_of(mfn);
  if (frame == nullptr) return fail(Error::not_found);
  const Mfn head = table_.mfn_of(*frame);
  const u32 n = static_cast<u32>(order.frames());
  FrameState state = frame->state();
  do {
    if (state.kind() != kind || order > k_max_order || !range_within(mfn - head, order.frames(), state.order().frames())) {
      return fail(Error::not_found);
    }
    if (state.owner() != owner) return fail(Error::not_owner);
    if (state.references() == 0) return fail(Error::busy);
    if (FrameState::k_max_references - state.references() < n) return fail(Error::overflow);
  } while (!frame->change_state(state, state.with_references(state.references() + n)));
  return Folio{*this, mfn, order, n};
}

void Machine::drop(Mfn mfn, u32 n) {
  Frame* frame = table_.head_of(mfn);
  if (frame == nullptr) arch::panic("mm: a reference to a frame that is no folio");
  FrameState state = frame->state();
  do {
    if (state.references() < n) arch::panic("mm: more references dropped than there are");
  } while (!frame->change_state(state, state.with_references(state.references() - n)));
  if (state.references() != n) return;
  // The last reference: reference() refuses a count of zero, so the folio is ours alone from here.
  const Mfn head = table_.mfn_of(*frame);
  LockGuard guard(lock_);
  count(state.kind(), state.order(), false);
  free_.insert(head, state.order(), FrameKind::free_dirty);
}

/// With a count of zero nobody can take a reference, so a folio can be cut up.
Result<void> Machine::freeze(Frame& head, FrameState expected) {
  FrameState seen = expected;
  while (!head.change_state(seen, expected.with_references(0))) {
    if (seen != expected) return fail(Error::busy);
  }
  return {};
}

/// A part of a frozen folio gets its own state, or is freed when nothing refers to it.
void Machine::settle(Mfn mfn, FrameState state) {
  Frame& frame = *table_.find(mfn);
  if (state.references() != 0) return frame.set_state(state);
  LockGuard guard(lock_);
  count(state.kind(), state.order(), false);
  free_.insert(mfn, state.order(), FrameKind::free_dirty);
}

Result<void> Machine::join(Mfn first, Order order, DomainId owner) {
  if (order > k_max_order || !first.is_aligned(order)) return fail(Error::misaligned);
  if (const auto folio = folio_at(first); folio && folio->owner == owner && folio->order >= order) return {};
  const Mfn end = first + order.frames();
  Mfn frozen = first;  // [first, frozen) is frozen, each folio under the order that it has
  const auto thaw = [&] {
    for (Mfn mfn = first; mfn < frozen;) {
      Frame& frame = *table_.find(mfn);
      const FrameState state = frame.state();
      frame.set_state(state.with_references(static_cast<u32>(state.order().frames())));
      mfn += state.order().frames();
    }
  };
  while (frozen < end) {
    Frame* frame = table_.find(frozen);
    const FrameState state = frame != nullptr ? frame->state() : FrameState{};
    const bool joinable = state.kind() == FrameKind::guest && state.owner() == owner && state.references() == state.order().frames();
    if (!joinable || !freeze(*frame, state)) {
      thaw();
      return fail(Error::busy);
    }
    frozen += state.order().frames();
  }
  // The head is last: until then nobody can take a reference anywhere in the run.
  for (Mfn mfn = first; mfn < end;) {
    Frame& frame = *table_.find(mfn);
    const Order part = frame.state().order();
    if (mfn != first) frame.set_state(FrameState{});
    mfn += part.frames();
  }
  table_.find(first)->set_state(FrameState{owner, FrameKind::guest, order, static_cast<u32>(order.frames())});
  return {};
}

Result<void> Machine::convert(Folio& folio, FrameKind to) {
  Frame* frame = table_.head_of(folio.mfn());
  if (frame == nullptr) return fail(Error::not_found);
  FrameState state = frame->state();
  const FrameKind from = state.kind();
  if (table_.mfn_of(*frame) != folio.mfn() || state.order() != folio.order()) return fail(Error::misaligned);
  do {
    if (state.references() != folio.references_) return fail(Error::busy);
  } while (!frame->change_state(state, FrameState{state.owner(), to, state.order(), 1}));
  folio.references_ = 1;
  LockGuard guard(lock_);
  count(from, folio.order(), false);
  count(to, folio.order(), true);
  return {};
}

std::optional<Machine::FolioInfo> Machine::folio_at(Mfn mfn) const {
  const Frame* frame = table_.head_of(mfn);
  if (frame == nullptr) return std::nullopt;
  const FrameState state = frame->state();
  return FolioInfo{table_.mfn_of(*frame), state.order(), state.kind(), state.owner(), state.references()};
}

Machine::Statistics Machine::statistics() const {
  LockGuard guard(lock_);
  Statistics statistics{.total_frames = total_frames_, .table_frames = table_.table_frames(), .free_blocks = free_.blocks(), .frames = used_};
  for (const FrameKind kind : {FrameKind::free_clean, FrameKind::free_dirty}) {
    statistics.frames[static_cast<usize>(kind)] = free_.frames(kind);
  }
  return statistics;
}

Machine& machine() {
  static constinit Machine the_machine;
  return the_machine;
}

Result<void> initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram) {
  return machine().initialize(all_ram, free_ram);
}
}  // namespace octavo::mm
