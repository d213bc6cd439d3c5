// SPDX-License-Identifier: Apache-2.0
// The script's operations on memory that is populated on demand.
#include "tests/model/script.hpp"

namespace octavo::model {
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
}

u64 MemoryScript::reclaimed() const {
  const pod::Statistics statistics = pod_.statistics();
  return statistics.reclaimed_unwritten + statistics.reclaimed_zero;
}

/// Memory has become entries again: exactly so many frames, and only what was zero.
void MemoryScript::absorb_reclaimed(u64 expected) {
  std::vector<std::pair<u64, u64>> gone;
  oracle_.each(0, guest_frames_, [&](u64 first, u64 end, GuestState state) {
    for (u64 gfn = first; p2m::is_ram(state.type) && gfn < end;) {
      const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
      const u64 next = std::min(Gfn{gfn}.align_down(there.order).value() + there.order.frames(), end);
      if (there.type == Type::pod) gone.push_back({gfn, next - gfn});
      gfn = next;
    }
  });
  u64 frames = 0;
  for (const auto& [gfn, count] : gone) {
    const GuestState state = oracle_.at(gfn);
    frames += count;
    oracle_.each(gfn, count, [&](u64 first, u64 end, GuestState run) {
      for (auto at = contents_.lower_bound(run.mfn); at != contents_.end() && at->first < run.mfn + (end - first); ++at) {
        must(at->second == 0, "memory that the guest uses was taken");
      }
    });
    must(state.type != Type::log_dirty, "log-dirty memory was taken");
  }
  for (const auto& [gfn, count] : gone) change(gfn, count, {Type::pod, 0});
  must(frames == expected, "another number of frames came back than was said");
}

/// What a vCPU does: access, fault, populate, again.
std::optional<u64> MemoryScript::reach(u64 gfn, bool write) {
  for (int faults = 0; faults < 4; ++faults) {
    if (const auto mfn = world_.tlb0.access(world_.root(), gfn, write)) return mfn;
    const GuestState state = oracle_.at(gfn);
    if (write ? p2m::access_of(state.type).write : p2m::access_of(state.type).read) {  // a type that is pending, or has just been populated
      world_.p2m.push_down(Gfn{gfn});
      world_.tlb0.flush();
      continue;
    }
    if (state.type != Type::pod) return std::nullopt;
    const Order hole = world_.p2m.lookup(Gfn{gfn}).order;
    const u64 before = reclaimed();
    const auto populate = [&] {
      const auto done = pod_.populate(Gfn{gfn});
      if (move_) static_cast<void>(absorb_move());  // it may have helped one along
      return done;
    };
    auto populated = populate();
    for (u64 searches = 0; !populated && populated.error() == Error::again; ++searches) {  // the vCPU faults again
      must(searches < 4 * guest_frames_ / 1000 + 8, "a search for zero memory that does not end");
      populated = populate();
    }
    absorb_reclaimed(reclaimed() - before);
    if (!populated) {
      if (populated.error() == Error::out_of_memory) must(pod_.accounts().cached() == 0 && !move_, "out of memory with a cache, or with memory on the move");
      else must(populated.error() == Error::no_table_memory, "refused");
      return std::nullopt;
    }
    const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
    must(there.type == Type::ram_rw && there.order <= hole, "not populated");
    const u64 base = Gfn{gfn}.align_down(there.order).value();
    change(base, there.order.frames(), {Type::ram_rw, there.mfn.value() - (gfn - base)});
  }
  must(false, "a fault that does not end");
  return std::nullopt;
}

void MemoryScript::guest_writes(Arguments& arguments) {
  const u64 value = arguments.draw.below(3) == 0 ? 0 : ++token_;
  note("guest write", arguments.gfn, 1);
  const auto mfn = reach(arguments.gfn, true);
  if (!mfn) return;
  used(arguments.gfn, *mfn, true, value);
  worked();
}

void MemoryScript::guest_reads(Arguments& arguments) {
  note("guest read", arguments.gfn, 1);
  const auto mfn = reach(arguments.gfn, false);
  if (!mfn) return;
  used(arguments.gfn, *mfn, false, std::nullopt);
  worked();
}

/// The guest gives two frames up and takes others for them, the second first: small leaves that only a move can join.
void MemoryScript::give_up_and_take(Arguments& arguments) {
  const u64 gfn = std::min(arguments.gfn & ~u64{1}, guest_frames_ - 2);
  note("give up and take", gfn, 2);
  if (!p2m::is_ram(oracle_.at(gfn).type) || !p2m::is_ram(oracle_.at(gfn + 1).type)) return;
  for (const u64 at : {gfn, gfn + 1}) {
    const auto given = pod_.decrease(Gfn{at}, 1);
    if (!given) return must(given.error() == Error::no_table_memory, "refused");
    change(at, 1, {});
  }
  for (const u64 at : {gfn + 1, gfn}) {
    must(pod_.add_entries(Gfn{at}, 1).has_value(), "a hole cannot be an entry");
    change(at, 1, {Type::pod, 0});
    if (const auto mfn = reach(at, false)) used(at, *mfn, false, std::nullopt);
  }
  hot_ = gfn;
  worked();
}

void MemoryScript::add_entries(Arguments& arguments) {
  const auto [gfn, count, ignored] = arguments;
  note("add_entries", gfn, count, Type::pod);
  bool allowed = true;
  oracle_.each(gfn, count, [&](u64, u64, GuestState state) { allowed = allowed && (state.type == Type::invalid || state.type == Type::pod); });
  const auto done = all_or_nothing([&] { return pod_.add_entries(Gfn{gfn}, count); });
  if (!allowed) return must(!done && done.error() == Error::exists, "memory was overwritten by entries");
  if (!done) return must(done.error() == Error::no_table_memory, "refused");
  change(gfn, count, {Type::pod, 0});
  worked();
}

void MemoryScript::increase(Arguments& arguments) {
  const auto [gfn, count, ignored] = arguments;
  const u64 budget = arguments.draw.of<u64>({1, 10, ~u64{0}});
  note("increase", gfn, count);
  const auto done = pod_.increase(Gfn{gfn}, count, budget);
  if (!done) return must(done.error() == Error::no_table_memory || (done.error() == Error::busy && move_), "refused");
  must(*done <= count, "more than was asked for");
  oracle_.each(gfn, *done, [&](u64, u64, GuestState state) { must(state.type == Type::invalid || state.type == Type::pod, "memory was overwritten"); });
  change(gfn, *done, {Type::pod, 0});
  if (*done > 0) worked();
}

void MemoryScript::set_target(Arguments& arguments) {
  const u64 target = arguments.draw.of<u64>({0, 1, 30, 100, k_2m, k_2m + 9, 3 * k_2m, 5 * k_2m + 1, 20 * k_2m, 512 * k_2m + 1000, u64{1} << 40});
  note("set_target", target, 0);
  const pod::Accounts was = pod_.accounts();
  const u64 before = was.held();
  const u64 budget = arguments.draw.of<u64>({~u64{0}, 1, 700});
  auto reply = pod_.set_target(target, budget);
  while (!reply && reply.error() == Error::again) {
    must(pod_.accounts().hold(), "more is held than target and pending, half way");
    use(world_.tlb1, arguments.gfn, false);
    reply = pod_.set_target(target, budget);
  }
  const pod::Accounts after = pod_.accounts();
  if (!reply) {
    // What had been missing to the old target may have been found on the way, and what was pending already may have gone.
    const u64 may_go = std::min(was.cached(), was.pending);
    must(after.target == was.target && after.held() + may_go >= before && after.held() <= std::max(before, was.target), "a target that was refused changed something");
    held_ = static_cast<i64>(after.held()) - static_cast<i64>(after.pending);
    return must(reply.error() == (target > guest_frames_ ? Error::invalid_argument : Error::out_of_memory), "refused");
  }
  must(after.target == target && after.pending == reply->pending, "the reply");
  must(after.held() == before + reply->added - reply->freed, "added and freed");
  must(after.held() == target + reply->pending, "not exact");
  must(reply->pending == 0 || after.cached() == 0, "pending, though there is a cache");
  held_ = static_cast<i64>(target);
  worked();
}

void MemoryScript::decrease(Arguments& arguments) {
  const auto [gfn, wanted, ignored] = arguments;
  const u64 budget = arguments.draw.of<u64>({0, 1, 2, 10, 600, ~u64{0}});
  const u64 count = std::min<u64>(wanted, 2000);
  note("decrease", gfn, count);
  const auto done = pod_.decrease(Gfn{gfn}, count, budget);
  if (!done) return must(done.error() == Error::no_table_memory || (done.error() == Error::busy && move_), "refused");
  must(*done <= count, "more than was asked for");
  if (budget == ~u64{0} && *done < count) {
    const Type stop = oracle_.at(gfn + *done).type;
    must((stop != Type::pod && !p2m::is_ram(stop)) || world_.p2m.statistics().tables.used + 3 > world_.p2m.statistics().tables.reserved, "stopped for nothing");
  }
  oracle_.each(gfn, *done, [&](u64, u64, GuestState state) {
    must(p2m::is_ram(state.type) || state.type == Type::pod, "what was nothing was handled");
  });
  change(gfn, *done, {});
  if (*done > 0) worked();
}

void MemoryScript::sweep(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_4k, k_order_2m, k_order_1g});
  const u64 budget = arguments.draw.of<u64>({0, 1, 50, 600, 5000, 5000});
  note("sweep", order.value(), budget);
  const u64 before = reclaimed();
  const u64 found = pod_.sweep(order, budget);
  must(found == reclaimed() - before, "the sweep's count");
  if (!world_.p2m.configuration().orders.has(order)) must(found == 0, "an order that is not allowed");
  absorb_reclaimed(found);
  if (found > 0) worked();
}

void MemoryScript::pod_promote(Arguments& arguments) {
  const Order order = arguments.draw.of({k_order_2m, k_order_2m, k_order_2m, k_order_1g});
  const u64 budget = arguments.draw.of<u64>({1, 1, 100, 600});
  const u64 gfn = worth_promoting(arguments, order);
  note("Pod::promote", gfn, order.frames());
  const u64 was_moving = world_.p2m.frames_in_transit();
  const auto done = pod_.promote(Gfn{gfn}, order, budget);
  if (was_moving == 0 && !done && done.error() != Error::again) return;
  Move move{.gfn = gfn, .order = order};
  if (was_moving > 0) {
    const bool same = move_ && move_->gfn == gfn && move_->order == order;
    must(done ? same : done.error() == (same ? Error::again : Error::busy), "a move that does not go on, or another that does");
    if (!done) return;
    move = move_ends();
  } else if (!done) {
    move_begins(gfn, order, std::nullopt);
    return worked();
  }
  const p2m::Translation there = world_.p2m.lookup(Gfn{move.gfn});
  must(there.order == move.order, "no leaf of that order");
  moved(move.gfn, move.order.frames(), there.mfn.value(), there.type);
  worked();
}

bool MemoryScript::absorb_move() {
  const u64 moving = world_.p2m.frames_in_transit();
  if (move_) {
    if (moving > 0) return false;
    const Move move = move_ends();
    const p2m::Translation there = world_.p2m.lookup(Gfn{move.gfn});
    must(there.order == move.order, "no leaf of that order");
    moved(move.gfn, move.order.frames(), there.mfn.value(), there.type);
    return true;
  }
  // What is somewhere else, or on the way, is not where the oracle has it.
  std::optional<Gfn> begun;
  std::vector<std::pair<Gfn, p2m::Translation>> ended;
  oracle_.each(0, guest_frames_, [&](u64 first, u64 end, GuestState state) {
    for (u64 gfn = first; p2m::is_ram(state.type) && gfn < end;) {
      const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
      const Gfn base = Gfn{gfn}.align_down(there.order);
      if (there.type == Type::transit && !begun) begun = Gfn{gfn};
      else if (is_ram(there.type) && there.mfn.value() != state.mfn + (gfn - first)) ended.push_back({base, world_.p2m.lookup(base)});
      gfn = std::min((base + there.order.frames()).value(), end);
    }
  });
  if (moving > 0) {
    must(begun.has_value(), "a move from nowhere");
    move_begins(begun->value(), moving == k_2m ? k_order_2m : k_order_1g, std::nullopt);
    return true;
  }
  must(!begun, "memory has been left on the way");
  for (const auto& [base, there] : ended) must(base == ended[0].first && there.order > k_order_4k, "more than one move in one call");
  if (!ended.empty()) moved(ended[0].first.value(), ended[0].second.order.frames(), ended[0].second.mfn.value(), ended[0].second.type);
  return !ended.empty();
}

void MemoryScript::advance(Arguments& arguments) {
  const u64 budget = arguments.draw.of<u64>({0, 1, 100, 600});
  note("advance", move_ ? move_->gfn : 0, budget);
  const bool was_moving = move_.has_value();
  const u64 before = stores_;
  pod_.advance(budget);
  if (!was_moving) must(stores_ == before, "no move, and a store");
  static_cast<void>(absorb_move());
  if (was_moving && budget > 0) worked();
}

/// What a free CPU does: it chooses by itself.
void MemoryScript::tidy(Arguments& arguments) {
  const u64 budget = arguments.draw.of<u64>({1, 7, 100, 600, 5000});
  note("tidy", move_ ? move_->gfn : 0, budget);
  const pod::Accounts was = pod_.accounts();
  const u64 stores = stores_;
  const u64 before = reclaimed();
  const bool did_something = pod_.tidy(budget);
  if (!did_something) {
    const pod::Accounts now = pod_.accounts();
    must(stores_ == stores && now.cached() == was.cached() && now.pending == was.pending && now.in_transit == was.in_transit, "nothing to do, and something was done");
    must(world_.p2m.frames_in_transit() == 0, "nothing to do, with a move under way");
  }
  absorb_reclaimed(reclaimed() - before);
  static_cast<void>(absorb_move());
  if (stores_ != stores) worked();
}

void MemoryScript::abort_promotion(Arguments&) {
  note("abort_promotion", move_ ? move_->gfn : 0, 0);
  pod_.abort_promotion();
  if (!move_) return;
  static_cast<void>(move_ends());
  worked();
}
}  // namespace octavo::model
