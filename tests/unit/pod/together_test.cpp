// SPDX-License-Identifier: Apache-2.0
// What two things at once do to a target: a change that takes the place of another, a promotion beside a growth, memory that others refer to.
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using model::World;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

struct Suspect : model::Believer {
  Suspect(u64 target, u64 maximum, mm::Contents contents, u64 bytes = u64{4} << 30)
      : Believer(target, maximum, 4096, p2m::k_all_orders, bytes, contents) {}
  /// 512 small leaves at gfn which only a copy can join.
  void scatter(u64 gfn) {
    for (u64 i = 0; i < k_2m; ++i) write(gfn + i, i + 1);
    REQUIRE(pod.decrease(Gfn{gfn}, 2) == 2);
    REQUIRE(pod.increase(Gfn{gfn}, 2) == 2);
    write(gfn + 1, 2);
    write(gfn, 1);
  }
};
}  // namespace

TEST_CASE("P15, D4: a target whose last gigabyte is replaced by one that was lent leaves none on its way") {
  Suspect world(k_1g, 3 * k_1g, mm::Contents::any, u64{8} << 30);
  world.write(0, 1);  // a 1G leaf; two of its 2M pieces are exchanged
  REQUIRE(*world.pod.decrease(Gfn{0}, k_2m) == k_2m);
  REQUIRE(*world.pod.decrease(Gfn{k_2m}, k_2m) == k_2m);
  REQUIRE(*world.pod.increase(Gfn{0}, 2 * k_2m) == 2 * k_2m);
  world.write(k_2m, 1);
  world.write(0, 1);
  REQUIRE(world.pod.set_target(2 * k_1g, 1000).error() == Error::again);
  REQUIRE(world.pod.accounts().in_transit == k_1g);
  REQUIRE(world.pod.promote(Gfn{0}, k_order_1g, 1).error() == Error::again);
  REQUIRE(world.pod.accounts().pending == k_1g);
  while (true) {
    const auto reply = world.pod.set_target(2 * k_1g, 1000);
    if (reply || reply.error() != Error::again) break;
  }
  world.pod.abort_promotion();
  REQUIRE(world.p2m.frames_in_transit() == 0);
  while (world.pod.tidy(k_1g)) {}  // what it was to be copied into is zeroed before the cache has it
  const pod::Accounts accounts = world.pod.accounts();
  CHECK(accounts.target == 2 * k_1g);
  CHECK(accounts.held() == 2 * k_1g);
  CHECK(accounts.in_transit == 0);
  CHECK(accounts.cached() == k_1g);
}

TEST_CASE("D3, D7: a fault that finds the cache's last memory on the move helps the move along, and is no verdict") {
  Suspect world(2 * k_1g, 3 * k_1g, mm::Contents::any, u64{8} << 30);
  world.write(0, 1);
  REQUIRE(*world.pod.decrease(Gfn{0}, k_2m) == k_2m);
  REQUIRE(*world.pod.decrease(Gfn{k_2m}, k_2m) == k_2m);
  REQUIRE(*world.pod.increase(Gfn{0}, 2 * k_2m) == 2 * k_2m);
  world.write(k_2m, 1);
  world.write(0, 1);
  REQUIRE(world.pod.promote(Gfn{0}, k_order_1g, 1).error() == Error::again);
  REQUIRE(world.p2m.frames_in_transit() == k_1g);
  REQUIRE(world.pod.accounts().cached() == 0);
  u64 faults = 0;
  Result<void> populated = world.pod.populate(Gfn{k_1g});
  for (; !populated && populated.error() == Error::again; ++faults) populated = world.pod.populate(Gfn{k_1g});
  CHECK(populated);
  CHECK(faults >= k_1g / 2048);  // in pieces
  CHECK(world.pod.statistics().out_of_memory == 0);
  CHECK(world.p2m.frames_in_transit() == 0);
  CHECK(world.problem() == "");
}

TEST_CASE("P15, D4: a target that takes the place of one half set, when the machine can serve neither, leaves what was before both") {
  Suspect world(k_2m, 64 * k_1g, mm::Contents::any);
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.pod.set_target(10 * k_1g, 1000).error() == Error::again);
  REQUIRE(world.pod.set_target(60 * k_1g).error() == Error::out_of_memory);
  CHECK(world.pod.accounts().target == k_2m);
  CHECK(world.pod.accounts().held() == k_2m);
  CHECK(world.machine.statistics().free_frames() == free);
}

TEST_CASE("D4: memory is not pending as long as the cache has some, also after a growth that fails") {
  Suspect world(k_2m, 4 * k_2m, mm::Contents::zero);
  world.write(0, 1);
  REQUIRE(world.pod.set_target(k_2m - 100)->pending == 100);
  REQUIRE(world.pod.set_target(4 * k_2m, 1).error() == Error::again);
  REQUIRE(world.pod.set_target(4 * k_2m, 1).error() == Error::again);
  for (u64 i = 0; i < 20; i += 2) REQUIRE(*world.pod.decrease(Gfn{i}, 1) == 1);
  const std::vector<mm::Folio> hoard = world.hoard();
  Result<pod::Pod::Reply> reply = world.pod.set_target(4 * k_2m, 1);
  while (!reply && reply.error() == Error::again) reply = world.pod.set_target(4 * k_2m, 1);
  REQUIRE(reply.error() == Error::out_of_memory);
  CHECK((world.pod.accounts().pending == 0 || world.pod.accounts().cached() == 0));
}

TEST_CASE("D4, D8: what is given up while somebody refers to it is no longer pending") {
  Suspect world(2 * k_2m, 8 * k_2m, mm::Contents::zero);
  world.write(0, 1);
  world.write(k_2m, 1);
  REQUIRE(world.pod.set_target(2 * k_2m - 3)->pending == 3);
  const auto pin = world.machine.reference(world.p2m.lookup(Gfn{0}).mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  REQUIRE(*world.pod.decrease(Gfn{0}, k_2m) == k_2m);
  CHECK(world.pod.accounts().held() == k_2m);
  CHECK(world.pod.accounts().pending == 0);  // "populated beyond the target": nothing is
}

TEST_CASE("P7: a promotion is not said to be done when it was another one that was") {
  Suspect world(4 * k_2m, 8 * k_2m, mm::Contents::zero);
  world.scatter(0);
  world.scatter(k_2m);
  REQUIRE(world.pod.promote(Gfn{0}, k_order_2m, 100).error() == Error::again);
  CHECK(world.pod.promote(Gfn{0}, k_order_1g, ~u64{0}).error() == Error::busy);
  const Result<void> done = world.pod.promote(Gfn{k_2m}, k_order_2m, ~u64{0});
  CHECK((!done || world.p2m.lookup(Gfn{k_2m}).order == k_order_2m));
}

TEST_CASE("P15: entries that take the place of a hole larger than they may be come a table at a time") {
  model::Believer world(100, k_1g, 600, {k_order_4k});
  REQUIRE(world.pod.decrease(Gfn{0}, k_1g) == k_1g);
  REQUIRE(world.p2m.lookup(Gfn{0}).order > k_order_2m);
  Gfn gfn{0};
  u64 left = k_1g;
  REQUIRE(world.p2m.set_hole_some(gfn, left, p2m::Type::pod, 1).error() == Error::again);
  CHECK(gfn == Gfn{k_2m});
  REQUIRE(world.pod.decrease(Gfn{0}, k_2m) == k_2m);
  REQUIRE(world.p2m.lookup(Gfn{0}).order > k_order_2m);
  CHECK(world.pod.increase(Gfn{0}, k_1g, 1) == k_2m);
  CHECK(world.pod.increase(Gfn{k_2m + 7}, k_1g - k_2m - 7, 1) == k_2m - 7);
  CHECK(world.p2m.lookup(Gfn{2 * k_2m}).type == p2m::Type::invalid);
  CHECK(world.problem() == "");
}
