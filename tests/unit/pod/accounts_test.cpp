// SPDX-License-Identifier: Apache-2.0
// What a domain on populate on demand holds and owes (D4, D8), and what its cache gives and takes (D1).
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using model::Believer;
using model::World;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
}  // namespace

TEST_CASE("D8: a claim beyond the maximum, a second one and one that the machine cannot serve are refused") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept), u64{1} << 28);
  pod::Pod pod(world.p2m);
  CHECK(pod.initialize(world.machine, 11, 10).error() == Error::invalid_argument);
  REQUIRE(pod.initialize(world.machine, 10, 10));
  CHECK(pod.accounts().cached() == 10);
  CHECK(pod.accounts().maximum == 10);
  CHECK(pod.initialize(world.machine, 5, 10).error() == Error::invalid_argument);
  CHECK(pod.accounts().target == 10);
  pod.destroy();
  CHECK(pod.accounts().held() == 0);
  CHECK(pod.accounts().target + pod.accounts().maximum + pod.accounts().pending == 0);
  CHECK(pod.initialize(world.machine, k_1g, k_1g).error() == Error::out_of_memory);
  CHECK(pod.accounts().cached() == 0);
  pod.destroy();
  CHECK(world.machine.statistics().free_frames() + world.p2m.statistics().tables.reserved == world.free_at_start);
}

TEST_CASE("D8: destroying ends a promotion on its way and leaves nothing of it") {
  Believer world(3 * k_2m, 8 * k_2m);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.pod.decrease(Gfn{i}, 1));
  for (u64 i = 0; i < k_2m; ++i) {
    REQUIRE(world.pod.add_entries(Gfn{i ^ 1}, 1));
    world.write(i ^ 1, i);
  }
  REQUIRE(world.pod.promote(Gfn{0}, k_order_2m, 7).error() == Error::again);
  CHECK(world.pod.accounts().in_transit == k_2m);
  CHECK(world.problem() == "");
  world.pod.destroy();
  CHECK(world.p2m.frames_in_transit() == 0);
  CHECK(world.type(0) == Type::ram_rw);
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.word(i ^ 1) == i);
  CHECK(world.check() == "");
}

TEST_CASE("D8: memory of every type and order counts as populated, entries by their size") {
  Believer world(k_1g + 4 * k_2m, 2 * k_1g + 8 * k_2m);
  world.write(0, 1);
  world.write(2 * k_1g, 1);
  world.write(2 * k_1g + k_2m, 1);
  REQUIRE(world.p2m.change_type(Gfn{2 * k_1g}, k_2m, Type::ram_rw, Type::ram_ro));
  REQUIRE(world.p2m.change_type(Gfn{2 * k_1g + k_2m}, 1, Type::ram_rw, Type::log_dirty));
  const pod::Accounts accounts = world.pod.accounts();
  CHECK(accounts.populated == k_1g + 2 * k_2m);
  CHECK(accounts.entries == k_1g + 6 * k_2m);
  CHECK(accounts.cached() == 2 * k_2m);
  CHECK(accounts.outstanding() == static_cast<i64>(k_1g + 4 * k_2m));
  CHECK(accounts.held() == k_1g + 4 * k_2m);
  CHECK(world.problem() == "");
}

TEST_CASE("D8: accounts hold up to target and pending, and not one frame beyond") {
  pod::Accounts accounts{.populated = 5, .cache = {1, 2, 3}, .target = 8, .pending = 4, .in_transit = 1};
  CHECK(accounts.held() == 12);
  CHECK(accounts.hold());
  ++accounts.in_transit;
  CHECK_FALSE(accounts.hold());
}

TEST_CASE("D4: growing takes the largest folios that fit, and exactly what is missing") {
  Believer world(0, 4 * k_1g, 64, p2m::k_all_orders, u64{8} << 30);
  const auto reply = world.pod.set_target(k_1g + 2 * k_2m + 3);
  REQUIRE(reply);
  CHECK(reply->added == k_1g + 2 * k_2m + 3);
  CHECK(reply->freed == 0);
  CHECK(world.pod.accounts().cache == std::array<u64, 3>{3, 2 * k_2m, k_1g});
  CHECK(world.pod.set_target(k_1g + 2 * k_2m + 3)->added == 0);
  CHECK(world.pod.set_target(4 * k_1g)->added == 3 * k_1g - 2 * k_2m - 3);  // up to the maximum itself
  CHECK(world.problem() == "");
}

TEST_CASE("D4: growing forgets what was pending, a growth that fails remembers it") {
  Believer world(2 * k_2m, 64 * k_1g, 64);
  world.write(0, 1);
  world.write(k_2m, 1);
  REQUIRE(world.pod.set_target(k_2m)->pending == k_2m);
  CHECK(world.pod.set_target(60 * k_1g).error() == Error::out_of_memory);
  CHECK(world.pod.accounts().pending == k_2m);
  CHECK(world.pod.accounts().target == k_2m);
  CHECK(world.pod.accounts().cached() == 0);
  CHECK(world.problem() == "");
  const auto reply = world.pod.set_target(2 * k_2m);
  REQUIRE(reply);
  CHECK(reply->added == 0);
  CHECK(reply->pending == 0);
  CHECK(world.pod.accounts().pending == 0);
}

TEST_CASE("D4: what comes back while less is pending than it is pays the rest out of the cache") {
  Believer world(2 * k_2m, 8 * k_2m);
  world.write(0, 1);
  world.write(k_2m, 1);
  REQUIRE(world.pod.set_target(2 * k_2m - 3)->pending == 3);
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.pod.decrease(Gfn{0}, k_2m));
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().cached() == k_2m - 3);
  CHECK(world.machine.statistics().free_frames() == free + 3);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: what comes back while as much or more is pending goes to the machine without being zeroed") {
  for (const u64 more : {u64{0}, u64{1}}) {
    Believer world(2 * k_2m, 8 * k_2m);
    world.write(0, 1);
    world.write(k_2m, 1);
    REQUIRE(world.pod.set_target(k_2m - more)->pending == k_2m + more);
    const Mfn mfn = world.p2m.lookup(Gfn{0}).mfn;
    REQUIRE(world.pod.decrease(Gfn{0}, k_2m));
    CHECK(world.pod.accounts().pending == more);
    CHECK(world.pod.accounts().cached() == 0);
    CHECK(world.simulated.read64(to_hpa(mfn)) == 1);
    CHECK(world.problem() == "");
  }
}

TEST_CASE("D1: only a folio that is all the caller's gets into the cache") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept));
  pod::Cache cache;
  cache.attach(world.machine, World::k_domain);
  auto folio = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  {
    auto pin = world.machine.reference(folio->mfn(), k_order_4k, World::k_domain, mm::FrameKind::guest);
    REQUIRE(pin);
    CHECK(cache.add(*folio).error() == Error::busy);
    CHECK(cache.add(*pin).error() == Error::misaligned);
  }
  CHECK(cache.frames() == 0);
  CHECK(cache.get(k_order_4k).error() == Error::out_of_memory);
  REQUIRE(cache.add(*folio));
  const auto got = cache.get(k_order_4k);
  REQUIRE(got);
  const auto info = world.machine.folio_at(got->mfn());
  CHECK(info->kind == mm::FrameKind::guest);
  CHECK(info->owner == World::k_domain);
  CHECK(cache.frames_by_level() == std::array<u64, 3>{k_2m - 1, 0, 0});
}

TEST_CASE("D1: the cache gives the largest runs back first, and breaks one only for the rest") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept));
  pod::Cache cache;
  cache.attach(world.machine, World::k_domain);
  for (const Order order : {k_order_2m, Order{3}, Order{11}}) {
    auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
    REQUIRE(folio);
    REQUIRE(cache.add(*folio));
  }
  CHECK(cache.give_back(0) == 0);
  CHECK(cache.give_back(k_2m + 8) == k_2m + 8);  // both whole, the larger one untouched
  CHECK(cache.frames_by_level() == std::array<u64, 3>{0, 2048, 0});
  CHECK(cache.give_back(1) == 1);
  CHECK(cache.frames() == 2047);
  CHECK(cache.give_back(5000) == 2047);
  CHECK(cache.give_back(1) == 0);
}

TEST_CASE("D1: runs of two domains that lie side by side do not merge") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept));
  constexpr DomainId k_second{4};
  pod::Cache first, second;
  first.attach(world.machine, World::k_domain);
  second.attach(world.machine, k_second);
  // The two halves of one 2M run.
  auto whole = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(whole);
  const Mfn head = std::move(*whole).keep();
  REQUIRE(world.machine.carve(head, Order{8}, World::k_domain, [&](Mfn mfn, u64) { return mfn == head ? 1u : 0u; }));
  mm::Folio lower(world.machine, head, Order{8});
  REQUIRE(lower);
  std::vector<mm::Folio> others;
  auto upper = world.machine.allocate(Order{8}, k_second, mm::FrameKind::guest);
  while (upper && upper->mfn() != head + 256) {
    others.push_back(std::move(*upper));
    upper = world.machine.allocate(Order{8}, k_second, mm::FrameKind::guest);
  }
  REQUIRE(upper);
  REQUIRE(second.add(*upper));
  REQUIRE(first.add(lower));
  CHECK(first.frames() == 256);
  CHECK(second.frames() == 256);
  CHECK(first.get(k_order_2m).error() == Error::out_of_memory);
  CHECK(world.machine.folio_at(head + 256)->owner == k_second);
}

TEST_CASE("D1: a cache that is cleared, or ends, has given everything back to the machine") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept));
  const u64 free = world.machine.statistics().free_frames();
  for (const bool is_cleared : {false, true}) {
    pod::Cache cache;
    cache.attach(world.machine, World::k_domain);
    for (const Order order : {k_order_1g, k_order_2m, k_order_4k}) {
      auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
      REQUIRE(folio);
      REQUIRE(cache.add(*folio));
    }
    REQUIRE(world.machine.statistics().free_frames() == free - k_1g - k_2m - 1);
    if (!is_cleared) continue;
    cache.clear();
    CHECK(cache.frames() == 0);
    CHECK(world.machine.statistics().free_frames() == free);
  }
  CHECK(world.machine.statistics().free_frames() == free);
}

TEST_CASE("D1, P15: the cache gives back no more folios than it may") {
  World world(GENERATE(p2m::Paging::npt, p2m::Paging::ept));
  pod::Cache cache;
  cache.attach(world.machine, World::k_domain);
  for (const Order order : {k_order_2m, Order{5}, k_order_4k}) {
    auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
    REQUIRE(folio);
    REQUIRE(cache.add(*folio));
  }
  CHECK(cache.give_back(~u64{0}, 0) == 0);
  CHECK(cache.give_back(~u64{0}, 1) == k_2m);
  CHECK(cache.give_back(~u64{0}, 1) == 32);
  CHECK(cache.give_back(~u64{0}, 5) == 1);
}

TEST_CASE("D8, P15: destroying in pieces returns no more folios a call than it may, and is done when all are back") {
  for (const u64 budget : {u64{1}, u64{2}}) {
    Believer world(k_2m + 9, 4 * k_2m);
    const u64 free = world.machine.statistics().free_frames();
    CHECK_FALSE(world.pod.destroy_some(0));
    CHECK(world.machine.statistics().free_frames() == free);
    u64 calls = 1;
    while (!world.pod.destroy_some(budget)) {
      REQUIRE(world.pod.accounts().held() > 0);
      REQUIRE(++calls < 20);
    }
    CHECK(calls > 1);
    CHECK(world.pod.accounts().held() == 0);
    CHECK(world.machine.statistics().free_frames() == free + k_2m + 9);
    CHECK(world.problem() == "");
  }
}

TEST_CASE("D8, P15: destroying in pieces does not forget what was still to be zeroed") {
  Believer world(2 * k_1g, 2 * k_1g);
  world.write(0, 1);
  world.write(k_1g, 1);
  REQUIRE(*world.pod.decrease(Gfn{0}, 2 * k_1g) == 2 * k_1g);
  REQUIRE(world.pod.accounts().in_transit == 2 * k_1g);
  const u64 free = world.machine.statistics().free_frames();
  CHECK_FALSE(world.pod.destroy_some(1));
  CHECK(world.machine.statistics().free_frames() == free + k_1g);
  CHECK(world.pod.accounts().in_transit == k_1g);
  world.pod.destroy();
  CHECK(world.machine.statistics().free_frames() == free + 2 * k_1g);
  CHECK(world.pod.accounts().held() == 0);
  CHECK(world.problem() == "");
}
