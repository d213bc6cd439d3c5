// SPDX-License-Identifier: Apache-2.0
#include "pod/pod.hpp"

#include <algorithm>

#include "mm/mapping.hpp"

namespace octavo::pod {
using p2m::Type;

namespace {
/// How many looks for zero memory one fault may take: 8 MiB read through, and 2 MiB more for one that has begun.
constexpr u64 k_looks = 1u << 11;
}  // namespace

Result<void> Pod::initialize(mm::Machine& machine, u64 target, u64 maximum) {
  {
    LockGuard guard(lock_);
    if (machine_ != nullptr || target > maximum) return fail(Error::invalid_argument);
    machine_ = &machine;
    maximum_ = maximum;
    cache_.attach(machine, p2m_.configuration().domain);
  }
  OCTAVO_TRY(set_target(target));
  return {};
}

bool Pod::destroy_some(u64 budget) {
  LockGuard guard(lock_);
  if (machine_ == nullptr) return true;
  p2m_.abort_move(this);
  change_ = {};
  for (soiled_done_ = 0; soiled_ != mm::k_no_frame && budget > 0; --budget) take_soiled().reset();
  cache_.give_back(cache_.frames(), budget);
  if (cache_.frames() > 0 || soiled_ != mm::k_no_frame) return false;
  target_ = pending_ = maximum_ = 0;
  machine_ = nullptr;
  return true;
}

Accounts Pod::accounts_locked() const {
  const p2m::Statistics counts = p2m_.statistics();
  Accounts accounts{.target = target_, .pending = pending_, .in_transit = counts.frames_in_transit + change_.claim.frames() + soiled_frames_, .maximum = maximum_};
  accounts.cache = cache_.frames_by_level();
  for (unsigned level = 0; level < p2m::k_leaf_levels; ++level) {
    const auto leaves = [&](Type type) { return counts.leaves[level][static_cast<usize>(type)] << 9 * level; };
    accounts.entries += leaves(Type::pod);
    accounts.populated += leaves(Type::ram_rw) + leaves(Type::ram_ro) + leaves(Type::log_dirty) + leaves(Type::transit);
  }
  return accounts;
}

Accounts Pod::accounts() const {
  LockGuard guard(lock_);
  return accounts_locked();
}

Statistics Pod::statistics() const {
  LockGuard guard(lock_);
  return statistics_;
}

Result<void> Pod::add_entries(Gfn gfn, u64 count) {
  LockGuard guard(lock_);
  for (Gfn at = gfn; at < gfn + count && at < p2m_.limit();) {
    const p2m::Translation there = p2m_.lookup(at);
    if (there.type != Type::invalid && there.type != Type::pod) return fail(Error::exists);
    at = at.align_down(there.order) + there.order.frames();
  }
  return p2m_.set_hole(gfn, count, Type::pod);
}

/// A folio of the largest order up to `limit` that the cache has.
Result<mm::Folio> Pod::folio_from_cache(Order limit) {
  for (unsigned level = p2m::level_of_order(limit) + 1; level-- > 0;) {
    const Order order = p2m::order_of_level(level);
    if (!p2m_.configuration().orders.has(order)) continue;
    if (Result<mm::Folio> folio = cache_.get(order)) return folio;
  }
  return fail(Error::out_of_memory);
}

/// From the cache; when it is empty, zero memory is looked for, one round at each order, the largest first, in pieces of k_looks.
/// What is found may have to go to the machine first, if something is pending.
Result<mm::Folio> Pod::folio_for(Order limit) {
  if (Result<mm::Folio> folio = folio_from_cache(limit)) {
    search_ = {};
    return folio;
  }
  if (p2m_.frames_in_transit() > 0) {  // its target may be what the cache had; as much comes back when it is done
    static_cast<void>(p2m_.continue_move(k_looks, this));
    return fail(Error::again);
  }
  for (u64 budget = k_looks; budget > 0;) {
    if (clean_some(budget)) {
      if (Result<mm::Folio> folio = folio_from_cache(limit)) return folio;
      continue;
    }
    if (!search_step(search_, budget)) {
      search_ = {};
      ++statistics_.out_of_memory;
      return fail(Error::out_of_memory);
    }
    if (cache_.frames() == 0) continue;
    search_ = {};
    return folio_from_cache(limit);
  }
  return fail(Error::again);
}

Result<void> Pod::populate(Gfn gfn) {
  LockGuard guard(lock_);
  const p2m::Translation there = p2m_.lookup(gfn);
  if (there.type != Type::pod) return {};  // somebody else was first
  mm::Folio folio = OCTAVO_TRY(folio_for(there.order));
  const Order order = folio.order();
  const Result<void> set = p2m_.set(gfn.align_down(order), folio.mfn(), order, Type::ram_rw);
  if (!set) {
    file(std::move(folio), true);
    return set;
  }
  ++statistics_.populates[p2m::level_of_order(order)];
  if (order < there.order) ++statistics_.fallbacks;
  return {};
}

Result<Pod::Reply> Pod::set_target(u64 frames, u64 budget) {
  LockGuard guard(lock_);
  if (frames > maximum_) return fail(Error::invalid_argument);
  if (!change_.under_way || change_.goal != frames) {
    const u64 settled = change_.under_way ? change_.old_target : target_;  // one that takes the place of another half way goes back to before both
    change_ = {.under_way = true, .refused = false, .goal = frames, .old_target = settled, .reply = {}, .claim = {}};
  }
  if (!change_.refused) {
    target_ = frames;
    const Result<void> grown = grow(frames, budget);
    if (!grown && grown.error() == Error::again) return fail(Error::again);
    change_.refused = !grown;
    change_.claim.reset();  // of what was wanted no more, the rest is not there, or memory came from elsewhere
  }
  if (change_.refused) target_ = change_.old_target;
  // More than the target: from the cache at once, the rest as the guest gives it up.
  const u64 held = accounts_locked().held();
  pending_ = held - std::min(held, target_);
  const u64 freed = cache_.give_back(pending_, budget);
  pending_ -= freed;
  change_.reply.freed += freed;
  if (pending_ > 0 && cache_.frames() > 0) return fail(Error::again);
  change_.under_way = false;
  idle_ = pending_ > 0 ? std::optional(Search{}) : std::nullopt;
  if (change_.refused) return fail(Error::out_of_memory);
  change_.reply.pending = pending_;
  return change_.reply;
}

/// Takes from the machine what is missing to `frames`.
Result<void> Pod::grow(u64 frames, u64& budget) {
  for (;;) {
    const u64 with_claim = accounts_locked().held();
    const u64 held = with_claim - change_.claim.frames();
    if (held >= frames) return {};
    pending_ = with_claim - std::min(with_claim, frames);  // a move's target may be lent
    if (budget == 0) return fail(Error::again);
    Result<mm::Folio> folio = fail(Error::out_of_memory);
    for (const Order order : {k_order_1g, k_order_2m, k_order_4k}) {
      const bool is_begun = change_.claim.frames() != 0;
      if (is_begun ? order.frames() != change_.claim.frames() : order.frames() > frames - held) continue;
      folio = change_.claim.take(*machine_, order, p2m_.configuration().domain, budget);
      if (folio || folio.error() != Error::out_of_memory) break;
    }
    if (!folio) return fail(folio.error());
    change_.reply.added += folio->order().frames();
    budget -= std::min<u64>(budget, 1);
    file(std::move(*folio), true);
  }
}

/// Puts memory that came back from the guest where it belongs.
void Pod::file(mm::Folio folio, bool is_zero) {
  const u64 frames = folio.order().frames();
  if (pending_ >= frames) {
    pending_ -= frames;
    return;  // the handle's end returns it to the machine
  }
  const Mfn mfn = folio.mfn();
  const Order order = folio.order();
  if (!machine_->is_exclusive(folio)) {  // somebody else has a reference: to the machine when that one is gone
    pending_ -= std::min(pending_, frames);
    return;
  }
  if (!is_zero) mm::zero_frames(mfn, order);
  if (!cache_.add(folio)) return;
  pending_ -= cache_.give_back(pending_);
}

/// A move, or a guest that gives up a 1G leaf, leaves gigabytes at once, which must not be zeroed at once: tidy() and faults that find the cache empty do it bit by bit.
void Pod::take(mm::Folio folio) {
  const u64 frames = folio.order().frames();
  if (pending_ >= frames) {
    pending_ -= frames;
    return;  // the handle's end returns it to the machine
  }
  if (!machine_->is_exclusive(folio)) {  // and to the machine, too, when whoever else refers to it is done
    pending_ -= std::min(pending_, frames);
    return;
  }
  // Behind the first, which may be zero in part.
  mm::Folio first = soiled_ != mm::k_no_frame && soiled_done_ > 0 ? take_soiled() : mm::Folio{};
  put_soiled(std::move(folio));
  if (first) put_soiled(std::move(first));
}

void Pod::put_soiled(mm::Folio folio) {
  soiled_frames_ += folio.order().frames();
  mm::Frame& frame = *machine_->table().find(std::move(folio).keep());
  frame.next = std::exchange(soiled_, machine_->table().index_of(frame));
}

mm::Folio Pod::take_soiled() {
  mm::Frame& frame = machine_->table().at(soiled_);
  soiled_ = frame.next;
  const Order order = frame.state().order();
  soiled_frames_ -= order.frames();
  return mm::Folio{*machine_, machine_->table().mfn_of(frame), order, static_cast<u32>(order.frames())};
}

/// Zeroes what was left soiled until the budget is used up, 2 MiB at least, and files it; false when there is none.
bool Pod::clean_some(u64& budget) {
  if (soiled_ == mm::k_no_frame) return false;
  while (soiled_ != mm::k_no_frame && budget > 0) {
    mm::Folio folio = take_soiled();
    const Order piece = std::min(folio.order(), k_order_2m);
    mm::zero_frames(folio.mfn() + soiled_done_, piece);
    soiled_done_ += piece.frames();
    budget -= std::min(budget, piece.frames());
    if (soiled_done_ < folio.order().frames()) {  // a larger one goes back to the front
      put_soiled(std::move(folio));
      continue;
    }
    soiled_done_ = 0;
    file(std::move(folio), true);
  }
  return true;
}

Result<void> Pod::promote(Gfn gfn, Order order, u64 budget) {
  LockGuard guard(lock_);
  const std::optional<p2m::Candidate> other = p2m_.move_under_way();
  if (other && (other->gfn != gfn || other->order != order)) return fail(Error::busy);
  return promote_locked(gfn, order, budget);
}

/// From the cache, or lent by the machine: then as many frames are pending until the old ones are given for it.
Result<mm::Folio> Pod::folio_to_copy_into(Order order) {
  if (Result<mm::Folio> folio = cache_.get(order)) return folio;
  mm::Folio lent = OCTAVO_TRY(machine_->allocate(order, p2m_.configuration().domain, mm::FrameKind::guest, mm::Contents::any));
  pending_ += order.frames();
  return lent;
}

Result<void> Pod::promote_locked(Gfn gfn, Order order, u64 budget) {
  if (p2m_.frames_in_transit() == 0) {
    const Result<void> in_place = p2m_.promote(gfn, order);
    if (in_place || in_place.error() != Error::misaligned || !gfn.is_aligned(order)) return in_place;
    mm::Folio target = OCTAVO_TRY(folio_to_copy_into(order));
    const Result<void> begun = p2m_.begin_move(gfn, order, target);
    if (!begun) {
      file(std::move(target), true);
      return begun;
    }
  }
  return p2m_.continue_move(budget, this);
}

void Pod::advance(u64 budget) {
  LockGuard guard(lock_);
  static_cast<void>(p2m_.continue_move(budget, this));
}

void Pod::abort_promotion() {
  LockGuard guard(lock_);
  p2m_.abort_move(this);
}

bool Pod::tidy(u64 budget) {
  LockGuard guard(lock_);
  if (machine_ == nullptr) return false;
  if (p2m_.frames_in_transit() > 0) {
    static_cast<void>(p2m_.continue_move(budget, this));
    return true;
  }
  if (clean_some(budget)) return true;
  for (unsigned level = 1; level < p2m::k_leaf_levels; ++level) {
    const Order order = p2m::order_of_level(level);
    if (!starved_[level] || (cache_.frames_by_level()[level] == 0 && !machine_->can_allocate(order))) continue;
    starved_[level] = false;
    p2m_.look_again();
  }
  const Result<p2m::Candidate> candidate = p2m_.next_candidate(budget);
  if (candidate) {
    const Result<void> done = promote_locked(candidate->gfn, candidate->order, budget);
    if (!done && done.error() == Error::out_of_memory) starved_[p2m::level_of_order(candidate->order)] = true;
    return true;
  }
  if (candidate.error() == Error::again) return true;
  const bool looks = idle_.has_value();
  while (idle_ && budget > 0) {
    if (pending_ == 0 || !search_step(*idle_, budget)) idle_.reset();
  }
  return looks;
}

Result<u64> Pod::increase(Gfn gfn, u64 count, u64 budget) {
  LockGuard guard(lock_);
  if (!range_within(gfn.value(), count, p2m_.limit().value())) return fail(Error::out_of_range);
  u64 done = 0;
  for (; done < count && budget > 0; --budget) {
    const Gfn at = gfn + done;
    const p2m::Translation there = p2m_.lookup(at);
    u64 rest = std::min(count - done, there.order.frames() - (at - at.align_down(there.order)));
    if (there.type == Type::invalid) {
      // A hole may be larger than the entries that are to take its place: no more than a table of those.
      const Order table = p2m::order_of_level(p2m_.configuration().orders.highest_level() + 1);
      rest = std::min(rest, table.frames() - (at - at.align_down(table)));
      const Result<void> marked = p2m_.set_hole(at, rest, Type::pod);
      if (!marked) return done > 0 ? Result<u64>{done} : fail(marked.error());
    } else if (there.type != Type::pod) {
      break;
    }
    done += rest;
  }
  return done;
}

Result<u64> Pod::decrease(Gfn gfn, u64 count, u64 budget) {
  LockGuard guard(lock_);
  if (!range_within(gfn.value(), count, p2m_.limit().value())) return fail(Error::out_of_range);
  u64 done = 0;
  for (; done < count && budget > 0; --budget) {
    const Gfn at = gfn + done;
    const p2m::Translation there = p2m_.lookup(at);
    const u64 rest = std::min(count - done, there.order.frames() - (at - at.align_down(there.order)));
    if (there.type == Type::pod) {
      const Result<void> gone = p2m_.set_hole(at, rest, Type::invalid);
      if (!gone) return done > 0 ? Result<u64>{done} : fail(gone.error());
      done += rest;
      continue;
    }
    if (!is_ram(there.type)) break;
    const Order order = p2m_.configuration().orders.largest(at.value(), rest);
    Result<p2m::Taken> taken = p2m_.take_out(at, order, Type::invalid);
    if (!taken) return done > 0 ? Result<u64>{done} : fail(taken.error());
    if (order <= k_order_2m) file(std::move(taken->folio), false);
    else take(std::move(taken->folio));
    done += order.frames();
  }
  return done;
}
}  // namespace octavo::pod
