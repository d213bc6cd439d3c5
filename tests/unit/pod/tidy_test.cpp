// SPDX-License-Identifier: Apache-2.0
// What a free CPU does for a domain's memory: promotion of what has become whole, found by the tables' own counts and not by
// looking; zero memory while something is pending. And the guest's way to have back what it gave up.
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

struct TidyWorld : model::Believer {
  TidyWorld(u64 target, u64 maximum) : Believer(target, maximum, 4096, p2m::k_all_orders, u64{8} << 30) {}

  /// Until there is nothing to do; how often that was something.
  u64 tidy(u64 budget = 512) {
    u64 rounds = 0;
    while (pod.tidy(budget)) REQUIRE(++rounds < 1'000'000);
    return rounds;
  }
  u64 leaves(unsigned level) const { return p2m.statistics().leaves[level][static_cast<usize>(Type::ram_rw)]; }
};
}  // namespace

TEST_CASE("P7: 512 leaves that became whole are promoted without a look at anything else, in place and on to 1G") {
  TidyWorld world(2 * k_1g, 4 * k_1g);
  world.write(5, 1);
  REQUIRE(world.leaves(2) == 1);
  CHECK(world.tidy() == 0);
  // A change of type at one frame cuts the leaf down to 4K; taken back, it is whole again.
  REQUIRE(world.p2m.change_type(Gfn{700}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.leaves(2) == 0);
  CHECK(world.leaves(1) == 511);
  CHECK(world.leaves(0) == 511);
  CHECK(world.tidy() > 0);  // looked at, of two types: not to be joined
  CHECK(world.leaves(0) == 511);
  REQUIRE(world.p2m.change_type(Gfn{700}, 1, Type::ram_ro, Type::ram_rw));
  CHECK(world.tidy() > 0);
  CHECK(world.leaves(2) == 1);
  CHECK(world.leaves(1) + world.leaves(0) == 0);
  CHECK(world.word(5) == 1);
  CHECK(world.p2m.statistics().copied[1] == 0);
  CHECK(world.check() == "");
}

TEST_CASE("P7: scattered frames are copied into one folio, a few at a time, as soon as the cache or the machine has one") {
  const auto from_machine = GENERATE(false, true);
  for (const u64 budget : {u64{1}, u64{7}, u64{512}}) {
    TidyWorld world(2 * k_2m, 8 * k_2m);
    for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) world.write(gfn, gfn + 1);
    // Every second frame of the first 2M goes and comes back: from the cache, in another order.
    for (u64 gfn = 0; gfn < k_2m; gfn += 2) REQUIRE(world.pod.decrease(Gfn{gfn}, 1) == 1);
    for (u64 gfn = 0; gfn < k_2m; gfn += 2) REQUIRE(world.pod.increase(Gfn{k_2m - 2 - gfn}, 1) == 1);
    for (u64 gfn = 0; gfn < k_2m; gfn += 2) world.write((gfn + 200) % k_2m, (gfn + 200) % k_2m + 1);
    CHECK(world.leaves(1) == 1);
    CHECK(world.leaves(0) == k_2m);
    std::vector<mm::Folio> hoard = world.hoard();
    world.tidy(budget);
    CHECK(world.leaves(1) == 1);  // cache and machine are empty: nothing to copy into
    CHECK(world.check() == "");
    hoard.clear();
    if (!from_machine) REQUIRE(world.pod.set_target(3 * k_2m));
    const u64 free = world.machine.statistics().free_frames();
    CHECK(world.tidy(budget) >= k_2m / budget);
    CHECK(world.leaves(1) == 2);
    CHECK(world.leaves(0) == 0);
    CHECK(world.p2m.statistics().copied[1] == 1);
    for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
    const pod::Accounts accounts = world.pod.accounts();
    CHECK(accounts.populated == 2 * k_2m);
    CHECK(accounts.cached() == (from_machine ? 0 : k_2m));
    CHECK(accounts.pending == 0);
    CHECK(accounts.in_transit == 0);
    CHECK(world.machine.statistics().free_frames() == free);
    CHECK(world.check() == "");
  }
}

TEST_CASE("D4, D8: a promotion that is given up gives back what it was to be copied into, to the cache or to whom it was lent by") {
  const auto lent = GENERATE(false, true);
  TidyWorld world(2 * k_2m, 8 * k_2m);
  for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) world.write(gfn, gfn + 1);
  REQUIRE(world.pod.decrease(Gfn{0}, 2) == 2);  // taken again the second first: not to be joined in place
  REQUIRE(world.pod.increase(Gfn{0}, 2) == 2);
  world.write(1, 2);
  world.write(0, 1);
  if (!lent) REQUIRE(world.pod.set_target(3 * k_2m));
  const pod::Accounts before = world.pod.accounts();
  const u64 free = world.machine.statistics().free_frames();
  CHECK(world.pod.promote(Gfn{0}, k_order_2m, 100).error() == Error::again);
  CHECK(world.pod.accounts().pending == (lent ? k_2m : 0));
  world.pod.abort_promotion();
  CHECK(world.word(0) == 1);
  CHECK(world.p2m.lookup(Gfn{0}).type == Type::ram_rw);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().held() == before.held());
  CHECK(world.machine.statistics().free_frames() == free);
  CHECK(world.check() == "");
  world.tidy();  // all the same
  CHECK(world.leaves(1) == 2);
  for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
  CHECK(world.pod.accounts().cached() == before.cached());
  CHECK(world.pod.accounts().in_transit == 0);
}

TEST_CASE("P7: more candidates than are noted are found all the same") {
  constexpr u64 k_many = 100;
  TidyWorld world((k_many + 2) * k_2m, 200 * k_2m);
  for (u64 i = 0; i < k_many; ++i) {
    world.write(i * k_2m, i + 1);
    REQUIRE(world.p2m.change_type(Gfn{i * k_2m + 3}, 1, Type::ram_rw, Type::ram_ro));
  }
  world.tidy();
  CHECK(world.leaves(1) == 0);
  for (u64 i = 0; i < k_many; ++i) REQUIRE(world.p2m.change_type(Gfn{i * k_2m + 3}, 1, Type::ram_ro, Type::ram_rw));
  world.tidy(1);
  CHECK(world.leaves(1) == k_many);
  CHECK(world.leaves(0) == 0);
  for (u64 i = 0; i < k_many; ++i) CHECK(world.word(i * k_2m) == i + 1);
  CHECK(world.tidy() == 0);
}

TEST_CASE("D4, D5: zero memory beyond the target goes back by itself, and the look for it ends") {
  TidyWorld world(4 * k_2m, 8 * k_2m);
  for (u64 gfn = 0; gfn < 4 * k_2m; ++gfn) world.write(gfn, gfn < 3 * k_2m ? gfn + 1 : 0);
  const auto reply = world.pod.set_target(2 * k_2m);
  REQUIRE(reply);
  CHECK(reply->pending == 2 * k_2m);
  const u64 free = world.machine.statistics().free_frames();
  CHECK(world.tidy() > 0);
  CHECK(world.pod.accounts().pending == k_2m);
  CHECK(world.pod.accounts().populated == 3 * k_2m);
  CHECK(world.machine.statistics().free_frames() == free + k_2m);
  CHECK(world.tidy() == 0);
  for (u64 gfn = 0; gfn < 3 * k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
  CHECK(world.check() == "");
}

TEST_CASE("D9: what was given up can be had back, at any offset, what was not cannot") {
  TidyWorld world(4 * k_2m, 8 * k_2m);
  for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) world.write(gfn, gfn + 1);
  REQUIRE(world.pod.decrease(Gfn{100}, 700) == 700);
  CHECK(world.p2m.lookup(Gfn{100}).type == Type::invalid);
  CHECK(world.pod.increase(Gfn{99}, 10) == 0);          // memory
  CHECK(world.pod.increase(Gfn{100}, 1000) == 700);     // stops where memory is
  CHECK(world.pod.increase(Gfn{100}, 700) == 700);      // entries stay entries
  CHECK(world.pod.increase(Gfn{100}, 700, 9) == 9);     // nine pieces, of 4K each here
  CHECK(world.pod.increase(Gfn{~u64{0}}, 2).error() == Error::out_of_range);
  const pod::Accounts accounts = world.pod.accounts();
  CHECK(accounts.entries == 6 * k_2m + 700);
  world.write(150, 5);
  CHECK(world.word(150) == 5);
  CHECK(world.word(99) == 100);
  CHECK(world.word(800) == 801);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D6: gigabytes that are given up are zeroed bit by bit, and come back zero") {
  TidyWorld world(2 * k_1g, 4 * k_1g);
  world.write(7, 1);
  world.write(k_1g + 9, 1);
  REQUIRE(world.pod.decrease(Gfn{0}, 2 * k_1g, 2) == 2 * k_1g);
  CHECK(world.pod.accounts().in_transit == 2 * k_1g);
  CHECK(world.pod.accounts().cached() == 0);
  CHECK(world.check() == "");
  u64 turns = 0;
  for (u64 before = 0; world.pod.tidy(512); ++turns) {
    REQUIRE(turns < 5000);
    const u64 cached = world.pod.accounts().cached();
    REQUIRE(cached >= before);
    REQUIRE(world.pod.accounts().held() == 2 * k_1g);
    before = cached;
  }
  CHECK(turns >= 1024);  // 2 MiB each
  CHECK(world.pod.accounts().cache[2] == 2 * k_1g);
  REQUIRE(world.pod.increase(Gfn{0}, 2 * k_1g) == 2 * k_1g);
  world.write(100, 1);
  world.write(k_1g + 100, 1);
  CHECK(world.word(7) == 0);
  CHECK(world.word(k_1g + 9) == 0);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D5: a fault that looks for zero memory does not read a gigabyte through") {
  TidyWorld world(k_1g, 4 * k_1g);
  world.write(k_1g - 1, 1);  // all of a 1G leaf but its last frame is zero, and the leaf is written
  u64 mapped = 0, faults = 0;
  world.simulated.on_map = [&](Mfn) { ++mapped; };
  while (world.p2m.lookup(Gfn{2 * k_1g}).type == Type::pod) {
    mapped = 0;
    const Result<void> populated = world.pod.populate(Gfn{2 * k_1g});
    REQUIRE((populated || populated.error() == Error::again));
    CHECK(mapped < 20'000);  // frames read, and tables walked
    REQUIRE(++faults < 1000);
  }
  world.simulated.on_map = nullptr;
  CHECK(world.word(k_1g - 1) == 1);
  CHECK(world.check() == "");
}

TEST_CASE("F3: a gigabyte that is given up while somebody refers to a part of it is not zeroed under him, and goes to the machine after him") {
  TidyWorld world(2 * k_1g, 4 * k_1g);
  world.write(7, 42);
  const Mfn mfn = world.p2m.lookup(Gfn{7}).mfn;
  auto pin = world.machine.reference(mfn, k_order_4k, model::World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.pod.decrease(Gfn{0}, k_1g) == k_1g);
  while (world.pod.tidy(512)) {}
  CHECK(world.simulated.read64(to_hpa(mfn)) == 42);
  CHECK(world.pod.accounts().cached() == k_1g);
  CHECK(world.machine.statistics().free_frames() == free);
  pin->reset();
  CHECK(world.machine.statistics().free_frames() == free + k_1g);
  CHECK(world.check() == "");
}

TEST_CASE("D4, D8: a gigabyte that is given up while somebody refers to it is no longer pending, as far as it was") {
  TidyWorld world(2 * k_1g, 4 * k_1g);
  world.write(7, 42);
  world.write(k_1g, 1);
  REQUIRE(world.pod.set_target(2 * k_1g - 5)->pending == 5);
  const mm::Folio pin = world.pin(7);
  REQUIRE(world.pod.decrease(Gfn{0}, k_1g) == k_1g);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().held() == k_1g);
  CHECK(world.problem() == "");
}

TEST_CASE("P7: a free CPU promotes what waited for memory as soon as the cache has it, be the machine ever so empty") {
  TidyWorld world(2 * k_2m, 8 * k_2m);
  for (u64 gfn = 0; gfn < 2 * k_2m; ++gfn) world.write(gfn, gfn + 1);
  REQUIRE(world.pod.decrease(Gfn{0}, 2) == 2);
  REQUIRE(world.pod.increase(Gfn{0}, 2) == 2);
  world.write(1, 2);
  world.write(0, 1);
  const std::vector<mm::Folio> hoard = world.hoard();
  world.tidy();
  REQUIRE(world.leaves(1) == 1);
  REQUIRE(world.pod.decrease(Gfn{k_2m}, k_2m) == k_2m);
  CHECK(world.tidy() > 0);
  CHECK(world.leaves(0) == 0);
  CHECK(world.p2m.statistics().copied[1] == 1);
  for (u64 gfn = 0; gfn < k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
  CHECK(world.check() == "");
}

TEST_CASE("P7: a promotion is carried on by whoever has the time, a few frames at a time") {
  TidyWorld world(3 * k_2m, 8 * k_2m);
  for (u64 gfn = 0; gfn < k_2m; ++gfn) world.write(gfn, gfn + 1);
  REQUIRE(world.pod.decrease(Gfn{0}, 2) == 2);
  REQUIRE(world.pod.increase(Gfn{0}, 2) == 2);
  world.write(1, 2);
  world.write(0, 1);
  world.pod.advance(100);  // there is none
  REQUIRE(world.pod.promote(Gfn{0}, k_order_2m, 12).error() == Error::again);
  for (u64 i = 0; i < 4; ++i) world.pod.advance(100);
  CHECK(world.p2m.frames_in_transit() == k_2m);
  world.pod.advance(100);
  CHECK(world.p2m.frames_in_transit() == 0);
  CHECK(world.leaves(1) == 1);
  for (u64 gfn = 0; gfn < k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D5: a free CPU looks for zero memory bit by bit") {
  TidyWorld world(16 * k_2m, 32 * k_2m);
  for (u64 i = 0; i < 16; ++i) REQUIRE(world.pod.populate(Gfn{i * k_2m}));
  REQUIRE(world.pod.set_target(0)->pending == 16 * k_2m);
  CHECK(world.pod.tidy(3));
  CHECK(world.pod.accounts().pending >= 13 * k_2m);
  world.tidy(3);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.leaves(1) == 0);
  CHECK(world.check() == "");
}

TEST_CASE("D4, D5: a free CPU takes no more zero memory than is pending") {
  TidyWorld world(4 * k_2m, 8 * k_2m);
  for (u64 i = 0; i < 4; ++i) REQUIRE(world.pod.populate(Gfn{i * k_2m}));
  REQUIRE(world.pod.set_target(3 * k_2m)->pending == k_2m);
  world.tidy();
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().cached() == 0);
  CHECK(world.leaves(1) == 3);
  CHECK(world.check() == "");
}

TEST_CASE("D4: a gigabyte that is given up while just as much is pending is the machine's at once") {
  TidyWorld world(2 * k_1g, 4 * k_1g);
  world.write(0, 1);
  world.write(k_1g, 1);
  REQUIRE(world.pod.set_target(k_1g)->pending == k_1g);
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.pod.decrease(Gfn{0}, k_1g) == k_1g);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().in_transit == 0);
  CHECK(world.machine.statistics().free_frames() == free + k_1g);
  CHECK(world.check() == "");
}

TEST_CASE("P15, D6: a gigabyte that is given up while another is zero in part comes back zero, all of it") {
  TidyWorld world(2 * k_1g, 2 * k_1g);
  for (u64 leaf = 0; leaf < 2; ++leaf) {
    for (u64 i = 0; i < 512; ++i) world.write(leaf * k_1g + i * k_2m, 1);
  }
  REQUIRE(world.pod.decrease(Gfn{0}, k_1g) == k_1g);
  for (u64 i = 0; i < 3; ++i) REQUIRE(world.pod.tidy(k_2m));
  REQUIRE(world.pod.decrease(Gfn{k_1g}, k_1g) == k_1g);
  CHECK(world.pod.accounts().held() == 2 * k_1g);
  CHECK(world.pod.accounts().in_transit == 2 * k_1g);
  world.tidy(64 * k_2m);
  CHECK(world.pod.accounts().held() == 2 * k_1g);
  CHECK(world.pod.accounts().cache[2] == 2 * k_1g);
  REQUIRE(world.pod.increase(Gfn{0}, 2 * k_1g) == 2 * k_1g);
  for (u64 leaf = 0; leaf < 2; ++leaf) {
    REQUIRE(world.pod.populate(Gfn{leaf * k_1g}));
    for (u64 i = 0; i < 512; ++i) REQUIRE(world.word(leaf * k_1g + i * k_2m) == 0);
  }
  CHECK(world.check() == "");
}
