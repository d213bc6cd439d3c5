// SPDX-License-Identifier: Apache-2.0
// The script's operations on the p2m: each says what it expects, calls, and tells the oracle.
#include "p2m/backing.hpp"
#include "tests/model/script.hpp"

namespace octavo::model {
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_device = u64{1} << 34;  // a frame number beyond all RAM
}  // namespace

bool MemoryScript::may_become(u64 gfn, u64 count, Type type) const {
  bool legal = true;
  oracle_.each(gfn, count, [&](u64, u64, GuestState state) { legal = legal && p2m::is_legal_transition(state.type, type); });
  return legal;
}

/// An operation failed: it must have had a reason. check() sees to it that nothing has changed.
void MemoryScript::refused(Error error, u64 gfn, u64 count, Type type) const {
  if (is_moving(gfn, count)) return must(error == Error::busy, "not busy, although it is on the move");
  if (error == Error::exists) return must(!may_become(gfn, count, type), "exists, although every type there may become this one");
  if (error == Error::busy) return must(aliased_, "busy, although nobody else refers to anything");
  must(error == Error::no_table_memory || error == Error::out_of_memory, "refused without a reason");
}

/// New memory over anything, from any part of one folio.
void MemoryScript::set_range(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_4k, k_order_4k, Order{3}, k_order_2m, k_order_2m, Order{11}, k_order_1g});
  const u64 offset = arguments.draw.of<u64>({0, 0, 0, 1, 300}) & (order.frames() - 1);
  const Type type = arguments.draw.of({Type::ram_rw, Type::ram_rw, Type::ram_ro, Type::log_dirty});
  const u64 gfn = arguments.gfn;
  const u64 count = std::min(order.frames() - offset, guest_frames_ - gfn);
  note("set_range", gfn, count, type);
  const auto folio = world_.machine.allocate(order, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
  if (!folio) return must(folio.error() == Error::out_of_memory, "allocate");
  const Mfn mfn = folio->mfn() + offset;
  forget_contents(folio->mfn().value(), order.frames());
  const auto done = all_or_nothing([&] { return world_.p2m.set_range(Gfn{gfn}, mfn, count, type); });
  if (!done) return refused(done.error(), gfn, count, type);
  must(may_become(gfn, count, type) && !is_moving(gfn, count), "not refused");
  change(gfn, count, {type, mfn.value()});
  worked();
}

void MemoryScript::set_leaf(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_4k, k_order_2m, k_order_1g, k_order_2m, Order{5}});
  const bool align = arguments.draw.below(4) != 0;
  const u64 gfn = align ? Gfn{arguments.gfn}.align_down(order).value() : arguments.gfn;
  note("set", gfn, order.frames(), Type::ram_rw);
  const auto folio = world_.machine.allocate(order, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
  if (!folio) return;
  const u64 mfn = folio->mfn().value();
  forget_contents(mfn, order.frames());
  const auto done = all_or_nothing([&] { return world_.p2m.set(Gfn{gfn}, Mfn{mfn}, order, Type::ram_rw); });
  if (order.value() % 9 != 0) return must(!done && done.error() == Error::invalid_argument, "an order of no leaf");
  if (!world_.p2m.configuration().orders.has(order)) return must(!done && done.error() == Error::unsupported, "an order that is not allowed");
  if (!Gfn{gfn}.is_aligned(order)) return must(!done && done.error() == Error::misaligned, "misaligned");
  if (!done) return refused(done.error(), gfn, order.frames(), Type::ram_rw);
  must(may_become(gfn, order.frames(), Type::ram_rw), "not refused");
  must(world_.p2m.lookup(Gfn{gfn}).order == order, "not one leaf of that order");
  change(gfn, order.frames(), {Type::ram_rw, mfn});
  worked();
}

/// Frames that are mapped already a second time, or over themselves.
void MemoryScript::map_again(Arguments& arguments) {
  const u64 from = arguments.gfn;
  const u64 to = arguments.draw.of({arguments.gfn, arguments.gfn, u64{5}, 2 * k_2m, k_2m + 9});
  const Type type = arguments.draw.of({Type::ram_rw, Type::ram_ro});
  u64 count = arguments.count;
  const GuestState state = oracle_.at(from);
  if (!p2m::is_ram(state.type) || to >= guest_frames_) return;
  count = std::min(count, guest_frames_ - to);
  bool one_run = from + count <= guest_frames_;
  oracle_.each(from, count, [&](u64 first, u64, GuestState run) { one_run = one_run && p2m::is_ram(run.type) && run.mfn == state.mfn + (first - from); });
  if (!one_run) count = 1;
  note("map_again", to, count, type);
  const auto done = all_or_nothing([&] { return world_.p2m.set_range(Gfn{to}, Mfn{state.mfn}, count, type); });
  if (!done) return refused(done.error(), to, count, type);
  if (to != from) aliased_ = true;
  change(to, count, {type, state.mfn});
  worked();
}

void MemoryScript::map_device(Arguments& arguments) {
  const u64 gfn = arguments.gfn;
  const u64 count = std::min<u64>(arguments.count, 1024);
  const u64 mfn = k_device + arguments.draw.below(2);
  note("device", gfn, count, Type::mmio_direct);
  const auto done = all_or_nothing([&] { return world_.p2m.set_range(Gfn{gfn}, Mfn{mfn}, count, Type::mmio_direct); });
  if (!done) return refused(done.error(), gfn, count, Type::mmio_direct);
  must(may_become(gfn, count, Type::mmio_direct), "not refused");
  change(gfn, count, {Type::mmio_direct, mfn});
  worked();
}

void MemoryScript::back(Arguments& arguments) {
  const u64 gfn = arguments.gfn;
  const u64 count = std::min<u64>(arguments.count, k_2m + 1);
  bool empty = true;
  oracle_.each(gfn, count, [&](u64, u64, GuestState state) { empty = empty && state.type == Type::invalid; });
  if (!empty) return;  // its contract: a hole
  note("populate_ram", gfn, count, Type::ram_rw);
  const auto done = p2m::populate_ram(world_.p2m, world_.machine, Gfn{gfn}, count);
  if (!done) {
    if (other_.reached && oracle_.at(other_.gfn).type == Type::invalid) {  // it saw a part that was done, before that was taken away again
      const auto folio = world_.machine.folio_at(Mfn{*other_.reached});
      must(!folio || folio->owner != World::k_domain, "what was taken away is still the guest's");
      forget_contents(*other_.reached, 1);
      other_.reached.reset();
    }
    return refused(done.error(), gfn, count, Type::ram_rw);
  }
  for (u64 i = 0; i < count;) {
    const p2m::Translation there = world_.p2m.lookup(Gfn{gfn + i});
    must(there.type == Type::ram_rw, "not backed");
    const u64 step = std::min(count - i, there.order.frames());
    forget_contents(there.mfn.value(), step);
    must(word(there.mfn.value()) == 0 || (other_.done && other_.write), "memory that is given to a guest is not zero");
    change(gfn + i, step, {Type::ram_rw, there.mfn.value()});
    i += step;
  }
  worked();
}

void MemoryScript::make_hole(Arguments& arguments) {
  if (kind_ == Kind::pod && arguments.draw.below(4) != 0) arguments.count = std::min<u64>(arguments.count, 8);  // leave something to play with
  const auto [gfn, count, ignored] = arguments;
  const Type type = kind_ == Kind::pod ? Type::invalid : arguments.draw.of({Type::invalid, Type::invalid, Type::pod, Type::mmio_emulated});
  note("set_hole", gfn, count, type);
  const u64 lost = oracle_.frames(gfn + count, p2m::is_ram) - oracle_.frames(gfn, p2m::is_ram);
  const auto done = all_or_nothing([&] { return world_.p2m.set_hole(Gfn{gfn}, count, type); });
  if (!done) return refused(done.error(), gfn, count, type);
  must(may_become(gfn, count, type) && !is_moving(gfn, count), "not refused");
  held_ -= static_cast<i64>(lost);
  change(gfn, count, {type, 0});
  worked();
}

void MemoryScript::make_hole_in_steps(Arguments& arguments) {
  if (kind_ == Kind::pod && arguments.draw.below(4) != 0) arguments.count = std::min<u64>(arguments.count, 600);
  const Type type = kind_ == Kind::pod ? Type::invalid : arguments.draw.of({Type::invalid, Type::pod});
  u64 budget = arguments.draw.of<u64>({0, 1, 512, 513, 9 * k_2m, 200 * k_2m});
  if (arguments.count <= 4 * k_2m) budget = std::min(budget, k_2m);
  Gfn gfn{arguments.gfn};
  u64 count = arguments.count;
  note("set_hole_some", arguments.gfn, count, type);
  if (budget == 0) {
    must(world_.p2m.set_hole_some(gfn, count, type, 0).error() == Error::again, "something was done for nothing");
    must(gfn.value() == arguments.gfn && count == arguments.count, "the cursor moved");
    budget = 1;
  }
  for (;;) {
    const u64 before = gfn.value(), left = count;
    const u64 had = oracle_.frames(before + left, p2m::is_ram);
    const auto done = world_.p2m.set_hole_some(gfn, count, type, budget);
    must(gfn.value() + count == before + left, "the cursor does not say what is left");
    change(before, gfn.value() - before, {type, 0});
    held_ -= static_cast<i64>(had - oracle_.frames(before + left, p2m::is_ram));
    if (done) break;
    if (done.error() != Error::again) return refused(done.error(), gfn.value(), std::min(count, k_2m - (gfn.value() & (k_2m - 1))), type);  // of that step
    must(count < left, "no progress");
    use(world_.tlb0, gfn.value(), false);  // the guest goes on in between
    if (budget <= 513) check();
    budget *= 2;
  }
  must(count == 0, "done, but something is left");
  worked();
}

void MemoryScript::retyped(u64 gfn, u64 count, Type from, Type to) {
  std::vector<std::pair<u64, std::pair<u64, GuestState>>> changed;
  oracle_.each(gfn, count, [&](u64 first, u64 end, GuestState state) {
    if (state.type == from) changed.push_back({first, {end - first, {to, state.mfn}}});
  });
  for (const auto& [first, rest] : changed) change(first, rest.first, rest.second);
  if (!changed.empty()) worked();
}

void MemoryScript::change_type(Arguments& arguments) {
  const auto [gfn, count, ignored] = arguments;
  const Type from = arguments.draw.of({Type::ram_rw, Type::ram_rw, Type::ram_ro, Type::log_dirty});
  const Type to = arguments.draw.of({Type::ram_rw, Type::ram_ro, Type::log_dirty});
  note("change_type to", gfn, count, to);
  const auto done = all_or_nothing([&] { return world_.p2m.change_type(Gfn{gfn}, count, from, to); });
  if (from == to) return must(!done && (done.error() == Error::invalid_argument || done.error() == Error::busy), "a change to the same");
  if (!done) return must(done.error() == Error::no_table_memory || (done.error() == Error::busy && is_moving(gfn, count)), "refused");
  retyped(gfn, count, from, to);
}

/// The whole domain: the way back to ordinary memory is the likely one, so that scripts go on.
void MemoryScript::change_all_types(Arguments& arguments) {
  const auto [from, to] = arguments.draw.of<std::pair<Type, Type>>({{Type::log_dirty, Type::ram_rw}, {Type::ram_ro, Type::ram_rw}, {Type::log_dirty, Type::ram_rw}, {Type::ram_rw, Type::log_dirty}});
  note("change_type of all to", 0, k_order_512g.frames(), to);
  const auto done = all_or_nothing([&] { return world_.p2m.change_type(Gfn{0}, k_order_512g.frames(), from, to); });
  if (!done) return must(move_ && done.error() == Error::busy, "refused");
  retyped(0, guest_frames_, from, to);
}

/// One frame to another type and back: small leaves that are worth a promotion.
void MemoryScript::split(Arguments& arguments) {
  const u64 gfn = arguments.gfn;
  const GuestState state = oracle_.at(gfn);
  note("split", gfn, 1, state.type);
  if (!p2m::is_ram(state.type)) return;
  const Type other = state.type == Type::ram_ro ? Type::ram_rw : Type::ram_ro;
  const auto done = all_or_nothing([&] { return world_.p2m.change_type(Gfn{gfn}, 1, state.type, other); });
  if (!done) return must(done.error() == Error::no_table_memory, "refused");
  must(world_.p2m.lookup(Gfn{gfn}).order == k_order_4k, "not split");
  must(world_.p2m.change_type(Gfn{gfn}, 1, other, state.type).has_value(), "nothing is left to split");
  hot_ = gfn;
  worked();
}

/// One frame by another: small leaves that only a move can join.
void MemoryScript::replace_one(Arguments& arguments) {
  const u64 gfn = arguments.gfn;
  const GuestState state = oracle_.at(gfn);
  note("replace one", gfn, 1, state.type);
  if (!p2m::is_ram(state.type)) return;
  const auto folio = world_.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
  if (!folio) return;
  forget_contents(folio->mfn().value(), 1);
  const auto done = all_or_nothing([&] { return world_.p2m.set(Gfn{gfn}, folio->mfn(), k_order_4k, state.type); });
  if (!done) return refused(done.error(), gfn, 1, state.type);
  change(gfn, 1, {state.type, folio->mfn().value()});
  hot_ = gfn;
  worked();
}

void MemoryScript::push_down(Arguments& arguments) {
  note("push_down", arguments.gfn, 1);
  const u64 flushes = world_.simulated.flushes;
  world_.p2m.push_down(Gfn{arguments.gfn});
  must(world_.simulated.flushes == flushes, "what is effective did not change, so no flush is due");
  worked();
}

void MemoryScript::hypervisor_writes(Arguments& arguments) {
  const u64 gfn = arguments.gfn;
  note("write_guest", gfn, 1);
  const GuestState state = oracle_.at(gfn);
  const u64 value = arguments.draw.below(3) == 0 ? 0 : ++token_;
  u8 bytes[sizeof value];
  __builtin_memcpy(bytes, &value, sizeof value);
  const auto done = p2m::write_guest(world_.p2m, Gpa{gfn * k_page_size + 8 * word_index_}, bytes);
  if (state.type == Type::transit) return must(!done && done.error() == Error::busy, "memory on the move was written");
  if (!p2m::is_ram(state.type)) return must(!done && done.error() == Error::not_found, "what is not memory was written");
  must(done.has_value(), "not written");
  must(word(state.mfn) == value, "something else was written");
  contents_[state.mfn] = value;
  must(world_.p2m.lookup(Gfn{gfn}).written, "not noted");
  written_.insert(gfn);
  worked();
}

void MemoryScript::take_out(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_4k, k_order_2m, k_order_1g});
  const u64 gfn = Gfn{arguments.gfn}.align_down(order).value();
  note("take_out", gfn, order.frames());
  const bool back_again = arguments.draw.below(2) == 0 || kind_ == Kind::pod;
  const Type hole = back_again ? Type::transit : Type::pod;
  const GuestState state = oracle_.at(gfn);
  const bool was_written = written_.lower_bound(gfn) != written_.lower_bound(gfn + order.frames());
  auto taken = all_or_nothing([&] { return world_.p2m.take_out(Gfn{gfn}, order, hole); });
  const bool allowed = world_.p2m.configuration().orders.has(order);
  if (!allowed) return must(!taken && (taken.error() == Error::invalid_argument || taken.error() == Error::busy), "an order that is not allowed");
  if (!taken) {
    if (taken.error() == Error::not_found) return;
    return must(taken.error() == Error::no_table_memory || (taken.error() == Error::busy && (aliased_ || is_moving(gfn, order.frames()))), "refused");
  }
  must(taken->folio.mfn().value() == state.mfn && taken->type == state.type, "not what lay there");
  must(taken->folio.references() == order.frames(), "not all references of the leaf");
  must(taken->dirty || taken->written || !was_written, "nobody knows that the guest wrote to what was taken");
  for (AdversarialTlb* tlb : {&world_.tlb0, &world_.tlb1}) must(!tlb->access(world_.root(), gfn, false), "the guest reaches what was taken out");
  if (!back_again) {
    change(gfn, order.frames(), {Type::pod, 0});
    return worked();
  }
  must(world_.p2m.lookup(Gfn{gfn}).type == Type::transit, "not in transit");
  must(world_.p2m.set(Gfn{gfn}, Mfn{state.mfn}, order, taken->type).has_value(), "cannot be put back");
  world_.p2m.mark_written(Gfn{gfn}, order.frames());
  worked();
}

void MemoryScript::promote(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_2m, k_order_2m, k_order_1g});
  const u64 gfn = worth_promoting(arguments, order);
  note("promote", gfn, order.frames());
  const auto done = world_.p2m.promote(Gfn{gfn}, order);
  if (!done) return must(done.error() == Error::not_found || done.error() == Error::not_permitted || done.error() == Error::misaligned || done.error() == Error::busy || done.error() == Error::unsupported, "refused");
  must(world_.p2m.lookup(Gfn{gfn}).order == order, "no leaf of that order");
  worked();
}

void MemoryScript::moved(u64 gfn, u64 count, u64 to, Type type) {
  std::map<u64, u64> contents;
  oracle_.each(gfn, count, [&](u64 first, u64 end, GuestState state) {
    for (auto at = contents_.lower_bound(state.mfn); at != contents_.end() && at->first < state.mfn + (end - first); ++at) {
      contents[to + (first - gfn) + (at->first - state.mfn)] = at->second;
    }
  });
  if (kind_ == Kind::pod) oracle_.each(gfn, count, [&](u64 first, u64 end, GuestState state) { forget_contents(state.mfn, end - first); });
  forget_contents(to, count);
  contents_.merge(contents);
  // The other processor may have found the new frames before the move was over.
  if (other_.done && other_.write && other_.reached && *other_.reached >= to && *other_.reached < to + count) contents_[*other_.reached] = other_.value;
  oracle_.put(gfn, count, {type, to});  // what was written stays written
}

void MemoryScript::begin_move(Arguments& arguments) {
  const u64 gfn = worth_promoting(arguments, k_order_2m);
  note("begin_move", gfn, k_2m);
  auto target = world_.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
  if (!target) return;
  const u64 to = target->mfn().value();
  const auto begun = world_.p2m.begin_move(Gfn{gfn}, k_order_2m, *target);
  if (!begun) return must(*target && target->mfn().value() == to, "the target is gone though nothing has begun");
  must(!move_, "two moves");
  move_begins(gfn, k_order_2m, to);
  worked();
}

void MemoryScript::move_begins(u64 gfn, Order order, std::optional<u64> to) {
  move_ = Move{.gfn = gfn, .order = order, .to = to};
  oracle_.each(gfn, order.frames(), [&](u64 first, u64 end, GuestState state) { move_->from.push_back({first, end - first, state}); });
  const auto first = written_.lower_bound(gfn), end = written_.lower_bound(gfn + order.frames());
  move_->written.insert(first, end);
  written_.erase(first, end);
  oracle_.put(gfn, order.frames(), {Type::transit, 0});
}

MemoryScript::Move MemoryScript::move_ends() {
  for (const Run& run : move_->from) oracle_.put(run.gfn, run.count, run.state);
  written_.insert(move_->written.begin(), move_->written.end());
  return *std::exchange(move_, std::nullopt);
}

void MemoryScript::continue_move(Arguments& arguments) {
  const u64 budget = arguments.draw.of<u64>({0, 1, 100, 511, 512, 600});
  note("continue_move", move_ ? move_->gfn : 0, budget);
  const auto done = world_.p2m.continue_move(budget);
  if (!move_) return must(!done && done.error() == Error::not_found, "a move from nowhere");
  if (!done) return must(done.error() == Error::again, "refused");
  const Move move = move_ends();
  moved(move.gfn, k_2m, *move.to, move.from[0].state.type);
  must(world_.p2m.lookup(Gfn{move.gfn}).order == k_order_2m, "no leaf of that order");
  worked();
}

void MemoryScript::abort_move(Arguments&) {
  note("abort_move", move_ ? move_->gfn : 0, k_2m);
  world_.p2m.abort_move();
  if (!move_) return;
  static_cast<void>(move_ends());
  worked();
}
}  // namespace octavo::model
