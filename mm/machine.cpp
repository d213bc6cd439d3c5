// SPDX-License-Identifier: Apache-2.0
#include "mm/machine.hpp"

#include <bit>

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

Result<void> Machine::initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram) {
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
  statistics_.table_frames = need;
  for (const arch::MemoryRange& range : free_ram) {
    const u64 begin = range.base.value() >> k_page_shift;
    const u64 end = begin + (range.size >> k_page_shift);
    if (*place >= begin && *place < end) {
      OCTAVO_TRY(donate(Mfn{begin}, *place - begin));
      OCTAVO_TRY(donate(Mfn{*place + need}, end - *place - need));
    } else {
      OCTAVO_TRY(donate(Mfn{begin}, end - begin));
    }
  }
  return {};
}

Result<void> Machine::donate(Mfn first, u64 count) {
  LockGuard guard(lock_);
  for (u64 done = 0; done < count;) {
    const Mfn mfn = first + done;
    unsigned order = 0;
    while (order < k_max_order.value() && mfn.is_aligned(Order{order + 1}) && count - done >= Order{order + 1}.frames()) ++order;
    if (table_.find(mfn) == nullptr || table_.find(mfn + (Order{order}.frames() - 1)) == nullptr) return fail(Error::out_of_range);
    if (table_.head_of(mfn) != nullptr) return fail(Error::exists);
    insert(mfn, Order{order}, FrameKind::free_dirty);
    statistics_.total_frames += Order{order}.frames();
    done += Order{order}.frames();
  }
  return {};
}

void Machine::link(Frame& frame, Order order, FrameKind kind) {
  // Clean blocks at the front, dirty ones at the back: each kind of request takes from its own end.
  List& list = free_[order.value()];
  const u32 index = table_.index_of(frame);
  const bool front = kind == FrameKind::free_clean;
  frame.next = front ? list.first : k_no_frame;
  frame.previous = front ? k_no_frame : list.last;
  (frame.next == k_no_frame ? list.last : table_.at(frame.next).previous) = index;
  (frame.previous == k_no_frame ? list.first : table_.at(frame.previous).next) = index;
  frame.set_state(FrameState{DomainId::hypervisor, kind, order, 0});
  nonempty_ |= 1u << order.value();
  ++statistics_.free_blocks[order.value()];
  kind_frames(kind) += order.frames();
}

void Machine::unlink(Frame& frame, Order order, FrameKind kind) {
  List& list = free_[order.value()];
  (frame.next == k_no_frame ? list.last : table_.at(frame.next).previous) = frame.previous;
  (frame.previous == k_no_frame ? list.first : table_.at(frame.previous).next) = frame.next;
  frame.set_state(FrameState{});
  if (list.first == k_no_frame) nonempty_ &= ~(1u << order.value());
  --statistics_.free_blocks[order.value()];
  kind_frames(kind) -= order.frames();
}

void Machine::insert(Mfn mfn, Order order, FrameKind kind) {
  while (order < k_max_order) {
    Frame* buddy = table_.find(Mfn{mfn.value() ^ order.frames()});
    if (buddy == nullptr) break;
    const FrameState state = buddy->state();
    if (!state.is_free() || state.order() != order) break;
    unlink(*buddy, order, state.kind());
    if (state.kind() == FrameKind::free_dirty) kind = FrameKind::free_dirty;  // a merged run is as clean as its worse half
    order = Order{order.value() + 1};
    mfn = mfn.align_down(order);
  }
  link(*table_.find(mfn), order, kind);
}

Result<Folio> Machine::allocate(Order order, DomainId owner, FrameKind kind, Contents contents) {
  if (order > k_max_order) return fail(Error::invalid_argument);
  Mfn mfn;
  bool clean = false;
  {
    LockGuard guard(lock_);
    const u32 serving = nonempty_ >> order.value() << order.value();
    if (serving == 0) return fail(Error::out_of_memory);
    Order from{static_cast<unsigned>(std::countr_zero(serving))};
    const List& list = free_[from.value()];
    Frame& frame = table_.at(contents == Contents::zero ? list.first : list.last);
    const FrameKind free_kind = frame.state().kind();
    clean = free_kind == FrameKind::free_clean;
    mfn = table_.mfn_of(frame);
    unlink(frame, from, free_kind);
    while (from > order) {
      from = Order{from.value() - 1};
      link(*table_.find(mfn + from.frames()), from, free_kind);
    }
    frame.set_state(FrameState{owner, kind, order, 1});
    kind_frames(kind) += order.frames();
  }
  if (contents == Contents::zero && !clean) zero_frames(mfn, order);
  return Folio{*this, mfn, order};
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
    if (state.is_free() || state.references() < n) arch::panic("mm: more references dropped than there are");
  } while (!frame->change_state(state, state.with_references(state.references() - n)));
  if (state.references() != n) return;
  // The last reference: reference() refuses a count of zero, so the folio is ours alone from here.
  const Mfn head = table_.mfn_of(*frame);
  LockGuard guard(lock_);
  kind_frames(state.kind()) -= state.order().frames();
  frame->set_state(FrameState{});
  insert(head, state.order(), FrameKind::free_dirty);
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
  kind_frames(state.kind()) -= state.order().frames();
  frame.set_state(FrameState{});
  insert(mfn, state.order(), FrameKind::free_dirty);
}

std::optional<Machine::FolioInfo> Machine::folio_at(Mfn mfn) const {
  const Frame* frame = table_.head_of(mfn);
  if (frame == nullptr) return std::nullopt;
  const FrameState state = frame->state();
  return FolioInfo{table_.mfn_of(*frame), state.order(), state.kind(), state.owner(), state.references()};
}

Machine::Statistics Machine::statistics() const {
  LockGuard guard(lock_);
  return statistics_;
}

Machine& machine() {
  static constinit Machine the_machine;
  return the_machine;
}

Result<void> initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram) {
  return machine().initialize(all_ram, free_ram);
}
}  // namespace octavo::mm
