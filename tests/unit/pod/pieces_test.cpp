// SPDX-License-Identifier: Apache-2.0
// P15: a target that is set in pieces ends as one that is set at once, whatever the pieces are and whatever the guest does between them.
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

struct PodWorld : model::Believer {
  PodWorld(u64 target, u64 maximum, mm::Contents contents) : Believer(target, maximum, 4096, p2m::k_all_orders, u64{4} << 30, contents) {}

  /// In pieces, with something of the guest's between them; how many pieces.
  Result<pod::Pod::Reply> set_target(u64 frames, u64 budget, auto&& between) {
    for (;; ++pieces) {
      const auto reply = pod.set_target(frames, budget);
      REQUIRE(pod.accounts().hold());
      REQUIRE(check() == "");
      if (reply || reply.error() != Error::again) return reply;
      between();
    }
  }

  u64 pieces = 0;
};
}  // namespace

TEST_CASE("P15, D4: growing in pieces: 1G first, accounts hold at each, the end is the same") {
  for (const mm::Contents contents : {mm::Contents::zero, mm::Contents::any}) {
    for (const u64 budget : {u64{1}, u64{600}, k_1g / 2, ~u64{0}}) {
      PodWorld world(3, 3 * k_1g, contents);
      u64 next = 0;
      const auto touch = [&] {
        if (next < 3) REQUIRE(world.pod.populate(Gfn{next++ * k_2m}));
      };
      const auto reply = world.set_target(k_1g + k_2m + 7, budget, touch);
      REQUIRE(reply);
      CHECK(reply->added == k_1g + k_2m + 4);
      CHECK(reply->freed == 0);
      CHECK(reply->pending == 0);
      if (budget == ~u64{0}) CHECK(world.pieces == 0);
      else if (contents == mm::Contents::any) CHECK(world.pieces > 0);
      const pod::Accounts accounts = world.pod.accounts();
      CHECK(accounts.held() == k_1g + k_2m + 7);
      CHECK(accounts.in_transit == 0);
      if (next == 0) CHECK(accounts.cache[2] == k_1g);
      for (u64 i = 0; i < next; ++i) {
        const p2m::Translation there = world.p2m.lookup(Gfn{i * k_2m});
        CHECK(world.simulated.read64(to_hpa(there.mfn)) == 0);
      }
    }
  }
}

TEST_CASE("P15, D4: shrinking in pieces gives back the same, the rest is pending") {
  for (const u64 budget : {u64{1}, u64{2}, u64{5}, ~u64{0}}) {
    PodWorld world(2 * k_1g + 5 * k_2m, 3 * k_1g, mm::Contents::zero);
    REQUIRE(world.pod.populate(Gfn{0}));
    const u64 free = world.machine.statistics().free_frames();
    const auto reply = world.set_target(k_2m, budget, [] {});
    REQUIRE(reply);
    CHECK(reply->freed == k_1g + 5 * k_2m);
    CHECK(reply->pending == k_1g - k_2m);
    CHECK(world.machine.statistics().free_frames() == free + reply->freed);
    CHECK(world.pod.accounts().cached() == 0);
  }
}

TEST_CASE("P15, D4: memory that runs out between the pieces leaves the target that was") {
  for (const u64 strike : {0u, 1u, 2u, 3u}) {
    PodWorld world(k_2m, 3 * k_1g, mm::Contents::any);
    const u64 free = world.machine.statistics().free_frames();
    std::vector<mm::Folio> hoard;
    u64 moment = 0;
    const auto reply = world.set_target(2 * k_1g, 2048, [&] {
      if (moment++ != strike) return;
      hoard = world.hoard();
    });
    REQUIRE_FALSE(reply);
    CHECK(reply.error() == Error::out_of_memory);
    hoard.clear();
    CHECK(world.pod.accounts().target == k_2m);
    CHECK(world.pod.accounts().held() == k_2m);
    CHECK(world.pod.accounts().pending == 0);
    CHECK(world.machine.statistics().free_frames() == free);
  }
}

TEST_CASE("P15, D4: another target while one is being set takes its place") {
  PodWorld world(k_2m, 3 * k_1g, mm::Contents::any);
  CHECK(world.pod.set_target(2 * k_1g, 1000).error() == Error::again);
  CHECK(world.pod.accounts().in_transit == k_1g);
  const auto reply = world.pod.set_target(3 * k_2m);
  REQUIRE(reply);
  CHECK(reply->added == 2 * k_2m);
  CHECK(reply->freed == 0);
  CHECK(world.pod.accounts().held() == 3 * k_2m);
  CHECK(world.pod.accounts().in_transit == 0);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D4: memory that needs no zeroing is not all taken in one call either") {
  PodWorld world(k_2m, 2 * k_2m, mm::Contents::zero);
  CHECK(world.pod.set_target(k_2m + 100, 10).error() == Error::again);
  CHECK(world.pod.accounts().held() < k_2m + 100);
  const auto reply = world.set_target(k_2m + 100, 10, [] {});
  REQUIRE(reply);
  CHECK(reply->added == 100);
  CHECK(world.pod.accounts().held() == k_2m + 100);
}

TEST_CASE("D4: growing takes small folios where the machine has no large one") {
  PodWorld world(k_2m, 4 * k_2m, mm::Contents::zero);
  std::vector<mm::Folio> halves, rest;
  while (auto half = world.machine.allocate(Order{8}, DomainId::hypervisor, mm::FrameKind::hypervisor, mm::Contents::any)) halves.push_back(std::move(*half));
  rest = world.hoard();
  u64 released = 0;
  for (mm::Folio& half : halves) {
    if (released == 2 || !half.mfn().is_aligned(k_order_2m)) continue;
    half.reset();
    ++released;
  }
  REQUIRE(released == 2);
  REQUIRE_FALSE(world.machine.can_allocate(k_order_2m));
  const auto reply = world.pod.set_target(2 * k_2m);
  REQUIRE(reply);
  CHECK(reply->added == k_2m);
  CHECK(world.pod.accounts().cached() == 2 * k_2m);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D8: destroying while a target is being set returns what was on its way") {
  PodWorld world(k_2m, 3 * k_1g, mm::Contents::any);
  const u64 free = world.machine.statistics().free_frames();
  CHECK(world.pod.set_target(2 * k_1g, 1000).error() == Error::again);
  REQUIRE(world.pod.accounts().in_transit == k_1g);
  world.pod.destroy();
  CHECK(world.pod.accounts().held() == 0);
  CHECK(world.machine.statistics().free_frames() == free + k_2m);
}
