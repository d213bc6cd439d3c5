// SPDX-License-Identifier: Apache-2.0
#include "mm/buddy.hpp"

#include <bit>

namespace octavo::mm {

void Buddy::link(Mfn mfn, Order order, FrameKind kind) {
  // Clean blocks at the front, dirty ones at the back: each kind of request takes from its own end.
  Frame& frame = *table_->find(mfn);
  List& list = lists_[order.value()];
  const u32 index = table_->index_of(frame);
  const bool front = kind == clean_;
  frame.next = front ? list.first : k_no_frame;
  frame.previous = front ? k_no_frame : list.last;
  (frame.next == k_no_frame ? list.last : table_->at(frame.next).previous) = index;
  (frame.previous == k_no_frame ? list.first : table_->at(frame.previous).next) = index;
  frame.set_state(FrameState{owner_, kind, order, references_});
  nonempty_ |= 1u << order.value();
  ++blocks_[order.value()];
  frames_of(kind) += order.frames();
}

void Buddy::unlink(Frame& frame, Order order, FrameKind kind) {
  List& list = lists_[order.value()];
  (frame.next == k_no_frame ? list.last : table_->at(frame.next).previous) = frame.previous;
  (frame.previous == k_no_frame ? list.first : table_->at(frame.previous).next) = frame.next;
  frame.set_state(FrameState{});
  if (list.first == k_no_frame) nonempty_ &= ~(1u << order.value());
  --blocks_[order.value()];
  frames_of(kind) -= order.frames();
}

void Buddy::insert(Mfn mfn, Order order, FrameKind kind) {
  table_->find(mfn)->set_state(FrameState{});  // as the upper half of a larger run it has no state of its own
  while (order < k_max_order) {
    Frame* buddy = table_->find(Mfn{mfn.value() ^ order.frames()});
    if (buddy == nullptr) break;
    const FrameState state = buddy->state();
    const bool member = (state.kind() == clean_ || state.kind() == dirty_) && state.owner() == owner_ && state.order() == order;
    if (!member) break;
    unlink(*buddy, order, state.kind());
    if (state.kind() == dirty_) kind = dirty_;
    order = Order{order.value() + 1};
    mfn = mfn.align_down(order);
  }
  link(mfn, order, kind);
}

std::optional<Buddy::Block> Buddy::take(Order order, bool prefer_clean) {
  const u32 serving = order > k_max_order ? 0 : nonempty_ >> order.value() << order.value();
  if (serving == 0) return std::nullopt;
  Order from{static_cast<unsigned>(std::countr_zero(serving))};
  const List& list = lists_[from.value()];
  Frame& frame = table_->at(prefer_clean ? list.first : list.last);
  const FrameKind kind = frame.state().kind();
  const Mfn mfn = table_->mfn_of(frame);
  unlink(frame, from, kind);
  while (from > order) {
    from = Order{from.value() - 1};
    link(mfn + from.frames(), from, kind);
  }
  return Block{mfn, kind};
}

std::optional<Order> Buddy::largest(Order limit) const {
  const u32 fitting = nonempty_ & static_cast<u32>(low_bits(limit.value() + 1));
  if (fitting == 0) return std::nullopt;
  return Order{static_cast<unsigned>(std::bit_width(fitting) - 1)};
}
}  // namespace octavo::mm
