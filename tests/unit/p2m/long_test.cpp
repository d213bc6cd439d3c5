// SPDX-License-Identifier: Apache-2.0
// What takes long or many steps: lazy types, promotion, taking out, teardown.
#include <catch2/catch.hpp>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
const Paging k_pagings[] = {Paging::npt, Paging::ept};
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

/// 512 small leaves at gfn, of one folio each: contiguous in the machine or scattered.
void scatter(World& world, Gfn gfn, bool contiguous) {
  std::vector<mm::Folio> others;
  for (u64 i = 0; i < k_2m; ++i) {
    if (!contiguous) others.push_back(*world.machine.allocate(k_order_4k, DomainId{1}, mm::FrameKind::hypervisor));
    const Mfn mfn = world.mapped_folio(gfn + i, k_order_4k);
    const mm::Mapping<u64> memory(mfn);
    memory[0] = 0xC0FFEE00 + i;
  }
}
}  // namespace

TEST_CASE("P8: a lazy change costs one store and one flush, and is told and enforced at once") {
  for (const Paging paging : k_pagings) {
    World world(paging, u64{4} << 30, 1100, {k_order_4k, k_order_2m});
    REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{0}, 2 * k_1g));
    REQUIRE(world.p2m.change_type(Gfn{7 * k_2m}, k_2m, Type::ram_rw, Type::ram_ro));
    const auto mfn = world.p2m.lookup(Gfn{k_1g + 3}).mfn;
    REQUIRE(world.tlb0.access(world.root(), k_1g + 3, true) == mfn.value());
    const u64 flushes = world.simulated.flushes;
    {
      const model::StoreLog log;
      REQUIRE(world.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::ram_rw, Type::log_dirty));
      CHECK(log.stores().size() == 1);
    }
    CHECK(world.simulated.flushes == flushes + 1);
    CHECK(world.p2m.lookup(Gfn{k_1g + 3}).type == Type::log_dirty);
    CHECK(world.p2m.lookup(Gfn{7 * k_2m}).type == Type::ram_ro);
    CHECK_FALSE(world.tlb0.access(world.root(), k_1g + 3, true));
    CHECK(world.tlb0.access(world.root(), k_1g + 3, false) == mfn.value());
    // One gfn is written: only its path is pushed down.
    const u64 splits = world.p2m.statistics().splits[static_cast<int>(p2m::SplitCause::change_type)];
    REQUIRE(world.p2m.change_type(Gfn{k_1g}, k_2m, Type::log_dirty, Type::ram_rw));
    CHECK(world.p2m.statistics().push_downs == 2);
    CHECK(world.p2m.statistics().splits[static_cast<int>(p2m::SplitCause::change_type)] == splits);
    CHECK(world.p2m.lookup(Gfn{k_1g + 3}).type == Type::ram_rw);
    CHECK(world.p2m.lookup(Gfn{k_1g + k_2m}).type == Type::log_dirty);
    world.tlb0.flush();
    CHECK(world.tlb0.access(world.root(), k_1g + 3, true) == mfn.value());
    for (const u64 gfn : {u64{0}, 7 * k_2m, k_1g - 1, k_1g, k_1g + k_2m}) CHECK(world.difference(Gfn{gfn}) == "");
    // And back again: rights that come back need no flush; a fault that finds them missing pushes them down.
    const u64 before = world.simulated.flushes;
    REQUIRE(world.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::log_dirty, Type::ram_rw));
    CHECK(world.simulated.flushes == before);
    CHECK(world.p2m.lookup(Gfn{k_1g + k_2m}).type == Type::ram_rw);
    CHECK(world.p2m.lookup(Gfn{7 * k_2m}).type == Type::ram_ro);
    world.p2m.push_down(Gfn{k_1g + k_2m});
    world.tlb0.flush();
    CHECK(world.tlb0.access(world.root(), k_1g + k_2m, true));
    CHECK(world.check() == "");
  }
}

TEST_CASE("P7: in place, 4K to 2M to 1G, folios are joined, A and D harvested after the flush, tables freed") {
  for (const Paging paging : k_pagings) {
    World world(paging, u64{4} << 30, 600);
    const u64 free = world.machine.statistics().free_frames();
    const Mfn mfn = world.mapped_folio(Gfn{k_1g}, k_order_1g);
    REQUIRE(world.p2m.change_type(Gfn{k_1g + 1}, 1, Type::ram_rw, Type::ram_ro));
    CHECK(world.p2m.promote(Gfn{k_1g}, k_order_2m).error() == Error::not_found);  // of two types
    REQUIRE(world.p2m.change_type(Gfn{k_1g + 1}, 1, Type::ram_ro, Type::ram_rw));
    CHECK(world.p2m.promote(Gfn{k_1g}, k_order_1g).error() == Error::not_found);  // not yet 512 of 2M
    CHECK(world.p2m.promote(Gfn{k_1g + 1}, k_order_2m).error() == Error::misaligned);
    REQUIRE(world.tlb1.access(world.root(), k_1g + 9, true) == mfn.value() + 9);  // owes a dirty bit until it flushes
    REQUIRE(world.p2m.promote(Gfn{k_1g}, k_order_2m));
    CHECK(world.p2m.lookup(Gfn{k_1g}).dirty);
    REQUIRE(world.p2m.promote(Gfn{k_1g}, k_order_1g));
    const p2m::Translation there = world.p2m.lookup(Gfn{k_1g + 77});
    CHECK(there.order == k_order_1g);
    CHECK(there.mfn == mfn + 77);
    CHECK(there.dirty);
    CHECK(world.p2m.statistics().tables.used == 2);
    CHECK(world.check() == "");
    REQUIRE(world.p2m.unmap_range(Gfn{k_1g}, k_1g));
    CHECK(world.p2m.statistics().tables.used == 1);  // empty tables are freed
    CHECK(world.machine.statistics().free_frames() == free);
  }
}

TEST_CASE("P7: separate folios that happen to be contiguous are joined, a pin forbids it") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30);
  // One run of 2M, cut into single frames by mapping it that way.
  std::vector<mm::Folio> frames;
  for (u64 i = 0; i < k_2m; ++i) frames.push_back(*world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest));
  std::sort(frames.begin(), frames.end(), [](const auto& a, const auto& b) { return a.mfn() < b.mfn(); });
  if (!frames[0].mfn().is_aligned(k_order_2m)) {
    while (!frames.back().mfn().is_aligned(k_order_2m) || frames.size() < 2 * k_2m) {
      frames.push_back(*world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest));
      if (frames.size() > 4 * k_2m) break;
    }
    std::sort(frames.begin(), frames.end(), [](const auto& a, const auto& b) { return a.mfn() < b.mfn(); });
  }
  usize first = 0;
  while (!frames[first].mfn().is_aligned(k_order_2m)) ++first;
  REQUIRE(first + k_2m <= frames.size());
  REQUIRE(frames[first + 511].mfn() == frames[first].mfn() + 511);
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.p2m.set(Gfn{i}, frames[first + i].mfn(), k_order_4k, Type::ram_rw));
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::busy);  // our own handles
  const Mfn head = frames[first].mfn();
  CHECK(world.machine.folio_at(head)->references == 2);
  frames.clear();
  REQUIRE(world.p2m.promote(Gfn{0}, k_order_2m));
  CHECK(world.machine.folio_at(head + 511)->head == head);
  CHECK(world.machine.folio_at(head)->references == k_2m);
  CHECK(world.check() == "");
}

TEST_CASE("P7: by copying, in steps, the guest waits, contents, A and D come along, nothing is lost by an abort") {
  for (const Paging paging : k_pagings) {
    World world(paging, u64{1} << 30);
    scatter(world, Gfn{k_2m}, false);
    CHECK(world.p2m.promote(Gfn{k_2m}, k_order_2m).error() == Error::misaligned);
    REQUIRE(world.tlb0.access(world.root(), k_2m + 100, true));
    const u64 free = world.machine.statistics().free_frames();
    for (const bool finish : {false, true}) {
      auto target = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
      REQUIRE(target);
      REQUIRE(world.p2m.begin_move(Gfn{k_2m}, k_order_2m, *target));
      CHECK_FALSE(world.tlb0.access(world.root(), k_2m + 100, true));
      CHECK(world.p2m.frames_in_transit() == k_2m);
      mm::Folio none;
      CHECK(world.p2m.begin_move(Gfn{k_2m}, k_order_2m, none).error() == Error::busy);
      u8 byte = 0;
      CHECK(p2m::read_guest(world.p2m, Gpa{k_2m * k_page_size}, {&byte, 1}).error() == Error::busy);
      CHECK(world.p2m.continue_move(200).error() == Error::again);
      CHECK(world.check() == "");
      if (!finish) {
        world.p2m.abort_move();
        CHECK(world.p2m.lookup(Gfn{k_2m}).order == k_order_4k);
        CHECK(world.machine.statistics().free_frames() == free);
      } else {
        CHECK(world.p2m.continue_move(200).error() == Error::again);
        REQUIRE(world.p2m.continue_move(200));
      }
      for (u64 i = 0; i < k_2m; ++i) {
        const mm::Mapping<u64> memory(world.p2m.lookup(Gfn{k_2m + i}).mfn);
        REQUIRE(memory[0] == 0xC0FFEE00 + i);
      }
      CHECK(world.check() == "");
    }
    CHECK(world.p2m.lookup(Gfn{k_2m}).order == k_order_2m);
    CHECK(world.p2m.lookup(Gfn{k_2m}).dirty);
    CHECK(world.machine.statistics().free_frames() == free);
    world.p2m.destroy();
    CHECK(world.machine.statistics().free_frames() == world.free_at_start);
  }
}

TEST_CASE("P7: a pinned frame is not moved") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30);
  scatter(world, Gfn{0}, false);
  const auto pin = world.machine.reference(world.p2m.lookup(Gfn{17}).mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  auto target = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(target);
  CHECK(world.p2m.begin_move(Gfn{0}, k_order_2m, *target).error() == Error::busy);
  CHECK(world.p2m.lookup(Gfn{17}).type == Type::ram_rw);
  CHECK(world.check() == "");
}

TEST_CASE("P15: teardown and unmapping in steps end in the same state from every budget") {
  u64 reference = 0;
  for (const u64 budget : {~u64{0}, u64{1}, u64{600}, u64{5000}}) {
    World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 1100);
    REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{3}, k_1g + 3 * k_2m));
    REQUIRE(world.p2m.change_type(Gfn{600}, 1, Type::ram_rw, Type::ram_ro));
    Gfn gfn{0};
    u64 count = k_1g;
    int steps = 0;
    for (;; ++steps) {
      const auto done = world.p2m.set_hole_some(gfn, count, Type::pod, budget);
      CHECK(world.check() == "");
      if (done) break;
      REQUIRE(done.error() == Error::again);
    }
    CHECK(world.p2m.lookup(Gfn{5}).order == k_order_1g);  // however it was cut
    CHECK(world.p2m.lookup(Gfn{k_1g - 1}).type == Type::pod);
    const u64 free = world.machine.statistics().free_frames();
    if (reference == 0) reference = free;
    CHECK(free == reference);
    while (!world.p2m.destroy_some(budget)) CHECK(world.check() == "");
    CHECK(world.machine.statistics().free_frames() == world.free_at_start);
    if (budget == 1) CHECK(steps > 500);
  }
}

TEST_CASE("P15: a piece of an unmap sums the folio that it cuts a few times, not once for each leaf") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 600);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_1g));
  for (u64 gfn = 0; gfn < k_1g; gfn += k_2m) REQUIRE(world.p2m.change_type(Gfn{gfn}, 1, Type::ram_rw, Type::ram_ro));
  for (u64 gfn = 0; gfn < k_1g; gfn += k_2m) REQUIRE(world.p2m.change_type(Gfn{gfn}, 1, Type::ram_ro, Type::ram_rw));
  Gfn gfn{0};
  u64 count = k_1g;
  const model::Work before = model::work;
  CHECK(world.p2m.set_hole_some(gfn, count, Type::invalid, k_2m).error() == Error::again);
  CHECK((model::work - before).steps() <= 4 * k_1g);  // each sum reads the 2^18 entries once
  CHECK(gfn == Gfn{k_2m});
  CHECK(world.check() == "");
}

TEST_CASE("P15: no step of a teardown depends on the size of the guest or of its pool") {
  constexpr u64 k_pool = 20'000, k_budget = 64, k_spread = 200;
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, k_pool);
  for (u64 i = 0; i < k_spread; ++i) static_cast<void>(world.mapped_folio(Gfn{i * k_1g}, k_order_4k));  // two tables each
  const u64 used = world.p2m.statistics().tables.used;
  CHECK(used > 2 * k_spread);
  u64 most = 0;
  for (bool done = false; !done;) {
    const model::Work before = model::work;
    done = world.p2m.destroy_some(k_budget);
    most = std::max(most, (model::work - before).steps());
    CHECK(world.check() == "");
  }
  // One leaf table and the two that become empty with it, or the root, or so many tables of the pool.
  CHECK(most <= 2 * (3 * 512 + k_budget));
  CHECK(world.machine.statistics().free_frames() == world.free_at_start);
}

TEST_CASE("P15: unmapping in steps that fails has changed exactly what it says is done") {
  // Five 2M leaves. Each row: what lets the fourth step fail, and how.
  struct Row {
    bool aliased;
    u64 tables;
    u64 count;
    Type leaf;
    Type hole;
    Error error;
  };
  const Row rows[] = {{true, 8, 3 * k_2m + 5, Type::ram_rw, Type::invalid, Error::busy},  // a part of a folio with an alias
                      {false, 3, 3 * k_2m + 5, Type::ram_rw, Type::invalid, Error::no_table_memory},
                      {false, 8, 4 * k_2m, Type::mmio_direct, Type::pod, Error::exists}};
  for (const Row& row : rows) {
    for (const u64 budget : {u64{1}, u64{513}, ~u64{0}}) {
      World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30, row.tables);
      for (u64 i = 0; i < 5; ++i) {
        if (i == 3 && row.leaf == Type::mmio_direct) REQUIRE(world.p2m.set(Gfn{i * k_2m}, Mfn{1 << 20}, k_order_2m, row.leaf));
        else static_cast<void>(world.mapped_folio(Gfn{i * k_2m}, k_order_2m));
      }
      if (row.aliased) REQUIRE(world.p2m.set(Gfn{6 * k_2m}, world.p2m.lookup(Gfn{3 * k_2m + 4}).mfn, k_order_4k, Type::ram_ro));
      std::vector<p2m::Translation> before;
      for (u64 i = 0; i < 7 * k_2m; ++i) before.push_back(world.p2m.lookup(Gfn{i}));
      Gfn gfn{0};
      u64 count = row.count;
      for (Error error = Error::again; error == Error::again;) {
        const u64 was_left = count;
        const auto done = world.p2m.set_hole_some(gfn, count, row.hole, budget);
        REQUIRE_FALSE(done);
        error = done.error();
        CHECK(gfn.value() + count == row.count);
        if (error == Error::again) CHECK(count < was_left);
        else CHECK(error == row.error);
        CHECK(world.check() == "");
        for (u64 i = 0; i < before.size(); ++i) {
          const p2m::Translation there = world.p2m.lookup(Gfn{i});
          REQUIRE(there.type == (i < gfn.value() ? row.hole : before[i].type));
          if (i >= gfn.value()) REQUIRE(there.mfn == before[i].mfn);
        }
      }
      CHECK(gfn.value() == 3 * k_2m);
    }
  }
}

TEST_CASE("P15: a folio with an alias goes as a whole, but not in steps that cut it") {
  for (const bool in_steps : {false, true}) {
    World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30);
    {
      const auto folio = world.machine.allocate(k_order_1g, World::k_domain, mm::FrameKind::guest);
      REQUIRE(folio);
      REQUIRE(world.p2m.set_range(Gfn{k_2m}, folio->mfn(), k_1g, Type::ram_rw));  // leaves of 2M
      REQUIRE(world.p2m.set(Gfn{0}, folio->mfn() + (2 * k_2m + 7), k_order_4k, Type::ram_ro));
    }
    Gfn gfn{k_2m};
    u64 count = k_1g;
    if (!in_steps) {
      CHECK(world.p2m.unmap_range(gfn, count));
    } else {
      CHECK(world.p2m.set_hole_some(gfn, count, Type::invalid, ~u64{0}).error() == Error::busy);
      CHECK(gfn == Gfn{k_2m});
      CHECK(count == k_1g);
      CHECK(world.p2m.lookup(gfn).type == Type::ram_rw);
    }
    CHECK(world.p2m.lookup(Gfn{0}).type == Type::ram_ro);
    CHECK(world.check() == "");
  }
}

TEST_CASE("P15: unmapping in steps does not look into tables that are no longer there") {
  World world(GENERATE(Paging::npt, Paging::ept));
  world.p2m.destroy();
  {
    const mm::Mapping<u64> root(to_mfn(world.p2m.root()));
    for (u64& entry : root.span()) entry = p2m::k_npt.encode(p2m::TableLink{.table = Mfn{u64{1} << 30}});  // somebody else's data now
  }
  Gfn gfn{0};
  u64 count = k_2m;
  CHECK(world.p2m.set_hole_some(gfn, count, Type::invalid, 1).error() == Error::invalid_argument);
  CHECK(count == k_2m);
}

TEST_CASE("P15: memory that was taken out is nobody's but the caller's") {
  World world(GENERATE(Paging::npt, Paging::ept));
  const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_1g);
  REQUIRE(world.tlb0.access(world.root(), k_2m + 1, true));
  const u64 free = world.machine.statistics().free_frames();
  {
    auto taken = world.p2m.take_out(Gfn{k_2m}, k_order_2m, Type::pod);
    REQUIRE(taken);
    CHECK(taken->dirty);  // of the 1G leaf: it was written somewhere
    CHECK(taken->folio.mfn() == mfn + k_2m);
    CHECK_FALSE(world.tlb0.access(world.root(), k_2m + 1, true));
    CHECK(world.machine.folio_at(mfn + k_2m)->order == k_order_2m);
    CHECK(world.check() == "");
    REQUIRE(world.machine.convert(taken->folio, mm::FrameKind::pod_cache));
    CHECK(world.machine.folio_at(mfn + k_2m)->references == 1);
  }
  CHECK(world.machine.statistics().free_frames() == free + k_2m);
  CHECK(world.p2m.take_out(Gfn{k_2m}, k_order_2m, Type::pod).error() == Error::not_found);
  CHECK(world.check() == "");
}

TEST_CASE("D5: what the hypervisor writes is noted, through splits and promotion") {
  World world(GENERATE(Paging::npt, Paging::ept));
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  const u8 byte = 1;
  CHECK_FALSE(world.p2m.lookup(Gfn{3}).written);
  REQUIRE(p2m::write_guest(world.p2m, Gpa{3 * k_page_size}, {&byte, 1}));
  CHECK(world.p2m.lookup(Gfn{3}).written);
  REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.p2m.lookup(Gfn{0}).written);
  REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_ro, Type::ram_rw));
  REQUIRE(world.p2m.promote(Gfn{0}, k_order_2m));
  CHECK(world.p2m.lookup(Gfn{3}).written);
  CHECK(world.check() == "");
}

TEST_CASE("P13, D5: small leaves that were written and are replaced by a large one over the same frames are not forgotten") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
    REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
    REQUIRE(world.tlb0.access(world.root(), 3, true));
    REQUIRE(world.p2m.set_range(Gfn{0}, mfn, k_2m, Type::ram_rw));
    const p2m::Translation there = world.p2m.lookup(Gfn{3});
    CHECK(there.order == k_order_2m);
    CHECK((there.dirty || there.written));
    CHECK(world.check() == "");
  }
}
