// SPDX-License-Identifier: Apache-2.0
// Random sequences of every operation on a p2m, at every order and offset, against a map from gfn to state. After each step the
// audit is clean, lookup and the reference walker agree with the map, no TLB holds what it must not, accounts are exact.
#include <catch2/catch.hpp>
#include <map>
#include <rapidcheck.h>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

/// What the guest should see at a gfn.
struct State {
  Type type = Type::invalid;
  u64 mfn = 0;
  bool operator==(const State&) const = default;
};

/// Runs of equal states: gfn -> state from there on (mfn of its first frame).
class Oracle {
 public:
  [[nodiscard]] State at(u64 gfn) const {
    const auto next = runs_.upper_bound(gfn);
    if (next == runs_.begin()) return {};
    const auto& [first, state] = *std::prev(next);
    return {state.type, p2m::is_mapped(state.type) ? state.mfn + (gfn - first) : 0};
  }
  void put(u64 first, u64 count, State state) {
    if (count == 0) return;
    const State after = at(first + count);
    runs_.erase(runs_.lower_bound(first), runs_.upper_bound(first + count));
    runs_[first + count] = after;
    runs_[first] = state;
  }
  /// f(first, end, state) for each run inside [first, first + count).
  void each(u64 first, u64 count, auto&& f) const {
    for (u64 gfn = first; gfn < first + count;) {
      const auto next = runs_.upper_bound(gfn);
      const u64 end = next == runs_.end() ? first + count : std::min(next->first, first + count);
      f(gfn, end, at(gfn));
      gfn = end;
    }
  }
  [[nodiscard]] std::vector<u64> edges() const {
    std::vector<u64> gfns;
    for (const auto& [gfn, state] : runs_) {
      if (gfn > 0) gfns.push_back(gfn - 1);
      gfns.push_back(gfn);
    }
    return gfns;
  }
  [[nodiscard]] u64 memory_frames(u64 limit) const {
    u64 frames = 0;
    each(0, limit, [&](u64 first, u64 end, State state) { if (p2m::is_ram(state.type)) frames += end - first; });
    return frames;
  }

 private:
  std::map<u64, State> runs_;
};

constexpr u64 k_guest = 3 * k_1g;

/// Numbers near the boundaries that matter, and any others.
u64 any_gfn() {
  const u64 base = *rc::gen::element(u64{0}, k_2m, 3 * k_2m, k_1g - k_2m, k_1g, 2 * k_1g);
  return std::min(base + *rc::gen::element<u64>(0, 0, 0, 1, 7, 511, 512, 600), k_guest - 1);
}
u64 any_count(u64 gfn) {
  const u64 count = *rc::gen::element<u64>(1, 1, 2, 5, 511, 512, 512, 513, 1024, k_1g, k_1g + 3);
  return std::min(count, k_guest - gfn);
}
/// One step at a time where they are few. Else a few or many, so that most calls end inside what one 1G leaf or table covers.
u64 any_budget(u64 count) {
  if (count <= 8 * k_2m) return 1;
  return *rc::gen::element<u64>(1, k_2m, 9 * k_2m, 100 * k_2m, 200 * k_2m, k_1g) + *rc::gen::element<u64>(0, 1, 511);
}

class Sequence {
 public:
  explicit Sequence(Paging paging) : world_(paging, u64{8} << 30, 40) {}

  void step() {
    switch (*rc::gen::element(0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11)) {
      case 0: case 1: populate(); break;
      case 2: unmap(); break;
      case 3: hole(); break;
      case 4: case 5: change_type(); break;
      case 6: map_again(); break;
      case 8: promote(); break;
      case 9: move(); break;
      case 10: take_out(); break;
      case 11: unmap_in_steps(); break;
      default: device(); break;
    }
    touch();
    check();
  }

  void finish() {
    world_.p2m.destroy();
    RC_ASSERT(world_.machine.statistics().free_frames() == world_.free_at_start);
    RC_ASSERT(world_.tlb0.size() + world_.tlb1.size() == 0u);
  }

 private:
  [[nodiscard]] bool may_become(u64 gfn, u64 count, Type type) const {
    bool legal = true;
    oracle_.each(gfn, count, [&](u64, u64, State state) { legal = legal && p2m::is_legal_transition(state.type, type); });
    return legal;
  }
  void note(const char* what, u64 gfn, u64 count, Type type) const {
    RC_LOG() << what << " " << gfn << "+" << count << " " << p2m::to_string(type) << "\n";
  }
  /// An operation failed: it must have had a reason, and nothing may have changed (check() sees to that).
  void refused(Error error, u64 gfn, u64 count, Type type) const {
    if (error == Error::exists) RC_ASSERT(!may_become(gfn, count, type));
    else if (error == Error::busy) RC_ASSERT(aliased_);
    else RC_ASSERT(error == Error::no_table_memory || error == Error::out_of_memory);
  }

  /// New memory over anything, in one folio.
  void populate() {
    const Order order = *rc::gen::element(k_order_4k, k_order_4k, Order{3}, k_order_2m, k_order_2m, Order{11}, k_order_1g);
    const u64 offset = *rc::gen::element<u64>(0, 0, 0, 1, 300) & (order.frames() - 1);
    const u64 gfn = any_gfn();
    const u64 count = std::min(order.frames() - offset, k_guest - gfn);
    const Type type = *rc::gen::element(Type::ram_rw, Type::ram_rw, Type::ram_ro, Type::log_dirty);
    note("set_range", gfn, count, type);
    const auto folio = world_.machine.allocate(order, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
    if (!folio) return RC_ASSERT(folio.error() == Error::out_of_memory);
    const Mfn mfn = folio->mfn() + offset;
    const auto done = world_.p2m.set_range(Gfn{gfn}, mfn, count, type);
    if (!done) return refused(done.error(), gfn, count, type);
    RC_ASSERT(may_become(gfn, count, type));
    oracle_.put(gfn, count, {type, mfn.value()});
    contents_.erase(contents_.lower_bound(mfn.value()), contents_.lower_bound(mfn.value() + count));
  }
  void promote() {
    const Order order = *rc::gen::element(k_order_2m, k_order_2m, k_order_1g);
    const u64 gfn = Gfn{any_gfn()}.align_down(order).value();
    note("promote", gfn, order.frames(), Type::invalid);
    const auto done = world_.p2m.promote(Gfn{gfn}, order);
    if (!done) return RC_ASSERT(done.error() == Error::not_found || done.error() == Error::not_permitted || done.error() == Error::misaligned || done.error() == Error::busy);
    RC_ASSERT(world_.p2m.lookup(Gfn{gfn}).order == order);
  }
  void move() {
    const u64 gfn = Gfn{any_gfn()}.align_down(k_order_2m).value();
    note("move", gfn, k_2m, Type::invalid);
    auto target = world_.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest, mm::Contents::any);
    if (!target) return;
    const u64 to = target->mfn().value();
    if (!world_.p2m.begin_move(Gfn{gfn}, k_order_2m, *target)) return;
    RC_ASSERT(world_.p2m.lookup(Gfn{gfn + 5}).type == Type::transit);
    RC_ASSERT(world_.p2m.frames_in_transit() == k_2m);
    RC_ASSERT(world_.check() == "");
    RC_ASSERT(world_.p2m.unmap_range(Gfn{gfn + 3}, 1).error() == Error::busy);
    if (*rc::gen::inRange(0, 3) == 0) return world_.p2m.abort_move();
    while (!world_.p2m.continue_move(*rc::gen::inRange<u64>(1, 300))) RC_ASSERT(world_.check() == "");
    const Type type = oracle_.at(gfn).type;
    for (u64 i = 0; i < k_2m; ++i) {
      const auto content = contents_.find(oracle_.at(gfn + i).mfn);
      if (content != contents_.end()) contents_[to + i] = content->second;
      else contents_.erase(to + i);
    }
    oracle_.put(gfn, k_2m, {type, to});
  }
  void take_out() {
    const Order order = *rc::gen::element(k_order_4k, k_order_2m, k_order_1g);
    const u64 gfn = Gfn{any_gfn()}.align_down(order).value();
    note("take_out", gfn, order.frames(), Type::pod);
    const State state = oracle_.at(gfn);
    const auto taken = world_.p2m.take_out(Gfn{gfn}, order, Type::pod);
    if (!taken) return RC_ASSERT(taken.error() == Error::not_found || taken.error() == Error::no_table_memory || (taken.error() == Error::busy && aliased_));
    RC_ASSERT(taken->folio.mfn().value() == state.mfn);
    RC_ASSERT(taken->folio.references() == order.frames());
    oracle_.put(gfn, order.frames(), {Type::pod, 0});
  }
  void unmap_in_steps() {
    const u64 first = any_gfn();
    Gfn gfn{first};
    u64 count = any_count(first);
    note("unmap in steps", first, count, Type::invalid);
    for (;;) {
      const u64 before = gfn.value();
      const u64 left = count;
      const auto done = world_.p2m.set_hole_some(gfn, count, Type::invalid, any_budget(count));
      oracle_.put(before, gfn.value() - before, {});
      check();
      RC_ASSERT(gfn.value() + count == before + left);
      if (done) return RC_ASSERT(count == 0u);
      if (done.error() != Error::again) return refused(done.error(), gfn.value(), count, Type::invalid);
      RC_ASSERT(count < left);
    }
  }
  void unmap() {
    const u64 gfn = any_gfn();
    const u64 count = any_count(gfn);
    note("unmap", gfn, count, Type::invalid);
    const auto done = world_.p2m.unmap_range(Gfn{gfn}, count);
    if (!done) return refused(done.error(), gfn, count, Type::invalid);
    oracle_.put(gfn, count, {});
  }
  void hole() {
    const u64 gfn = any_gfn();
    const u64 count = any_count(gfn);
    const Type type = *rc::gen::element(Type::pod, Type::mmio_emulated);
    note("set_hole", gfn, count, type);
    const auto done = world_.p2m.set_hole(Gfn{gfn}, count, type);
    if (!done) return refused(done.error(), gfn, count, type);
    RC_ASSERT(may_become(gfn, count, type));
    oracle_.put(gfn, count, {type, 0});
  }
  void change_type() {
    const u64 gfn = any_gfn();
    const u64 count = any_count(gfn);
    const Type from = *rc::gen::element(Type::ram_rw, Type::ram_rw, Type::ram_ro, Type::log_dirty);
    const Type to = *rc::gen::element(Type::ram_rw, Type::ram_ro, Type::log_dirty);
    note("change_type to", gfn, count, to);
    const auto done = world_.p2m.change_type(Gfn{gfn}, count, from, to);
    if (from == to) return RC_ASSERT(done.error() == Error::invalid_argument);
    if (!done) return RC_ASSERT(done.error() == Error::no_table_memory);
    std::vector<std::pair<u64, std::pair<u64, State>>> changed;
    oracle_.each(gfn, count, [&](u64 first, u64 end, State state) {
      if (state.type == from) changed.push_back({first, {end - first, {to, state.mfn}}});
    });
    for (const auto& [first, rest] : changed) oracle_.put(first, rest.first, rest.second);
  }
  /// The same frames a second time somewhere else.
  void map_again() {
    const u64 from = any_gfn();
    const State state = oracle_.at(from);
    if (!p2m::is_ram(state.type)) return;
    const u64 to = any_gfn();
    note("alias", to, 1, Type::ram_ro);
    const auto done = world_.p2m.set_range(Gfn{to}, Mfn{state.mfn}, 1, Type::ram_ro);
    if (!done) return refused(done.error(), to, 1, Type::ram_ro);
    aliased_ = true;
    oracle_.put(to, 1, {Type::ram_ro, state.mfn});
  }
  void device() {
    const u64 gfn = any_gfn();
    const u64 count = std::min<u64>(any_count(gfn), 1024);
    const u64 mfn = (u64{1} << 34) + *rc::gen::element<u64>(0, 1);
    note("device", gfn, count, Type::mmio_direct);
    const auto done = world_.p2m.set_range(Gfn{gfn}, Mfn{mfn}, count, Type::mmio_direct);
    if (!done) return refused(done.error(), gfn, count, Type::mmio_direct);
    RC_ASSERT(may_become(gfn, count, Type::mmio_direct));
    oracle_.put(gfn, count, {Type::mmio_direct, mfn});
  }
  /// The guest uses its memory, so that the TLBs know much.
  void touch() {
    for (const u64 gfn : oracle_.edges()) {
      for (model::AdversarialTlb* tlb : {&world_.tlb0, &world_.tlb1}) {
        const bool write = *rc::gen::arbitrary<bool>();
        std::optional<u64> reached = tlb->access(world_.root(), gfn, write);
        const State state = oracle_.at(gfn);
        const p2m::Access access = p2m::access_of(state.type);
        if (!reached && write && access.write) {  // what a fault handler does when lookup says that there should be none
          world_.p2m.push_down(Gfn{gfn});
          tlb->flush();
          reached = tlb->access(world_.root(), gfn, write);
        }
        if (write ? access.write : access.read) RC_ASSERT(reached == std::optional(state.mfn));
        else RC_ASSERT(!reached);
        if (!reached) continue;
        u64* const memory = reinterpret_cast<u64*>(world_.simulated.at(to_hpa(Mfn{std::min(*reached, world_.simulated.frames() - 1)})));
        if (*reached >= world_.simulated.frames()) continue;
        if (const auto content = contents_.find(*reached); content != contents_.end()) RC_ASSERT(*memory == content->second);
        if (write) contents_[*reached] = *memory = ++token_;
      }
    }
    if (*rc::gen::arbitrary<bool>()) world_.tlb0.settle_marks();
  }
  void check() const {
    RC_ASSERT(world_.check() == "");
    for (const u64 gfn : oracle_.edges()) {
      const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
      RC_ASSERT((State{there.type, there.mfn.value()}) == oracle_.at(gfn));
      RC_ASSERT(world_.difference(Gfn{gfn}) == "");
    }
    RC_ASSERT(world_.p2m.audit().mapped_frames == oracle_.memory_frames(k_guest + 1));
    if (!aliased_) {
      const auto statistics = world_.machine.statistics();
      const u64 guest = statistics.frames[static_cast<usize>(mm::FrameKind::guest)];
      RC_ASSERT(guest >= oracle_.memory_frames(k_guest + 1));
    }
  }

  World world_;
  Oracle oracle_;
  bool aliased_ = false;
  std::map<u64, u64> contents_;  ///< machine frame -> what the guest wrote to its first word
  u64 token_ = 0;
};
}  // namespace

TEST_CASE("the oracle itself: putting nothing changes nothing, and what lies behind a put stays") {
  Oracle oracle;
  oracle.put(100, 50, {Type::ram_rw, 7000});
  for (const u64 gfn : {99u, 100u, 120u, 149u, 150u}) {
    const State before = oracle.at(gfn);
    oracle.put(gfn, 0, {});
    CHECK(oracle.at(gfn) == before);
  }
  oracle.put(110, 10, {});
  CHECK(oracle.at(109) == State{Type::ram_rw, 7009});
  CHECK(oracle.at(110) == State{});
  CHECK(oracle.at(120) == State{Type::ram_rw, 7020});
  CHECK(oracle.memory_frames(1000) == 40);
}

TEST_CASE("P1-P6, P11-P14: random sequences against the oracle") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    const bool passed = rc::check("p2m follows the oracle", [paging] {
      Sequence sequence(paging);
      const int steps = *rc::gen::inRange(1, 40);
      for (int i = 0; i < steps; ++i) sequence.step();
      sequence.finish();
    });
    CHECK(passed);
  }
}
