// SPDX-License-Identifier: Apache-2.0
// Faults, balloons and promotions that cannot be served (D3, D4, D9): what is refused changes nothing, what is done in part says how much.
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using model::Believer;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
constexpr Mfn k_device{u64{1} << 30};
}  // namespace

TEST_CASE("D2: only holes and entries become entries") {
  Believer world(k_2m, 4 * k_2m);
  REQUIRE(world.p2m.set_range(Gfn{8 * k_2m}, k_device, 1, Type::mmio_direct));
  world.write(0, 1);
  CHECK(world.pod.add_entries(Gfn{0}, 1).error() == Error::exists);
  CHECK(world.pod.add_entries(Gfn{k_2m}, 8 * k_2m).error() == Error::exists);  // the device is in the last 2M
  CHECK(world.type(4 * k_2m) == Type::invalid);
  CHECK(world.pod.add_entries(Gfn{8 * k_2m - 1}, 2).error() == Error::exists);
  REQUIRE(world.pod.add_entries(Gfn{k_2m}, 7 * k_2m));  // up to it; some are entries already
  CHECK(world.type(8 * k_2m - 1) == Type::pod);
  CHECK(world.pod.accounts().entries == 7 * k_2m);
  CHECK(world.pod.add_entries(Gfn{world.p2m.limit().value() - 1}, 2).error() == Error::out_of_range);
  CHECK(world.pod.add_entries(Gfn{16 * k_2m}, u64{1} << 62).error() == Error::out_of_range);
  CHECK(world.problem() == "");
}

TEST_CASE("D3: populating what is no entry changes nothing") {
  Believer world(k_2m, 4 * k_2m);
  world.write(0, 1);
  REQUIRE(world.pod.populate(Gfn{0}));
  REQUIRE(world.pod.populate(Gfn{k_1g}));
  CHECK(world.type(k_1g) == Type::invalid);
  CHECK(world.pod.statistics().populates[1] == 1);
  CHECK(world.pod.statistics().fallbacks == 0);
  CHECK(world.word(0) == 1);
  CHECK(world.problem() == "");
}

TEST_CASE("D3: a fault for which there is no table keeps its folio in the cache") {
  Believer world(4, 4 * k_2m, 3);  // the root and two tables: entries of 2M
  CHECK(world.pod.populate(Gfn{5}).error() == Error::no_table_memory);
  CHECK(world.pod.accounts().cached() == 4);
  CHECK(world.pod.accounts().entries == 4 * k_2m);
  CHECK(world.pod.statistics().populates[0] == 0);
  CHECK(world.problem() == "");
}

TEST_CASE("D3: folios are counted by the order of the leaf, and larger ones than the domain may have are not used") {
  Believer world(2 * k_1g, 2 * k_1g, 64, {k_order_4k, k_order_2m});
  world.write(k_1g, 1);
  CHECK(world.p2m.lookup(Gfn{k_1g}).order == k_order_2m);
  CHECK(world.pod.statistics().populates[1] == 1);
  CHECK(world.pod.statistics().populates[2] == 0);
  CHECK(world.pod.statistics().fallbacks == 0);
  CHECK(world.pod.sweep(k_order_1g, ~u64{0}) == 0);
  CHECK(world.problem() == "");
}

TEST_CASE("D3: a search at each order is counted, and so is memory that runs out") {
  Believer world(2, 4 * k_2m);
  world.write(0, 1);
  world.write(1, 2);
  CHECK(world.pod.statistics().searches == 0);
  Result<void> populated = world.pod.populate(Gfn{2});
  while (!populated && populated.error() == Error::again) populated = world.pod.populate(Gfn{2});
  REQUIRE_FALSE(populated);
  CHECK(populated.error() == Error::out_of_memory);
  CHECK(world.pod.statistics().searches == 3);
  CHECK(world.pod.statistics().out_of_memory == 1);
  CHECK(world.pod.statistics().restored == 0);  // neither even seemed to be zero
}

TEST_CASE("D4: a balloon ends where memory ends") {
  Believer world(2 * k_2m, 4 * k_2m);
  world.write(0, 1);
  REQUIRE(world.p2m.set_range(Gfn{4 * k_2m}, k_device, 1, Type::mmio_direct));
  CHECK(*world.pod.decrease(Gfn{0}, 6 * k_2m) == 4 * k_2m);
  CHECK(world.type(4 * k_2m) == Type::mmio_direct);
  CHECK(*world.pod.decrease(Gfn{4 * k_2m}, 1) == 0);
  CHECK(world.pod.decrease(Gfn{0}, world.p2m.limit().value() + 1).error() == Error::out_of_range);
  CHECK(*world.pod.decrease(Gfn{0}, 0) == 0);
  CHECK(world.pod.accounts().entries == 0);
  CHECK(world.pod.accounts().cached() == 2 * k_2m);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: a balloon takes pieces from the middle of entries and of memory") {
  Believer world(2 * k_2m, 4 * k_2m);
  world.write(0, 1);
  CHECK(*world.pod.decrease(Gfn{5}, 3) == 3);
  CHECK(*world.pod.decrease(Gfn{k_2m + 5}, 3) == 3);
  for (const u64 at : {u64{4}, u64{8}}) CHECK(world.type(at) == Type::ram_rw);
  for (const u64 at : {k_2m + 4, k_2m + 8}) CHECK(world.type(at) == Type::pod);
  for (const u64 at : {u64{5}, u64{7}, k_2m + 5, k_2m + 7}) CHECK(world.type(at) == Type::invalid);
  CHECK(world.pod.accounts().cached() == k_2m + 3);
  CHECK(world.pod.accounts().entries == 3 * k_2m - 3);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: a balloon stops when its budget is used up") {
  Believer world(2 * k_2m, 4 * k_2m);
  world.write(0, 1);
  world.write(k_2m, 1);
  CHECK(*world.pod.decrease(Gfn{0}, 4 * k_2m, 0) == 0);
  CHECK(*world.pod.decrease(Gfn{0}, 4 * k_2m, 3) == 3 * k_2m);  // two leaves and an entry
  CHECK(world.type(3 * k_2m) == Type::pod);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: a balloon over pinned memory stops before it, and fails when there is nothing before it") {
  Believer world(2 * k_2m, 4 * k_2m);
  world.write(0, 1);
  world.write(k_2m, 2);
  const mm::Folio pin = world.pin(k_2m + 7);
  CHECK(*world.pod.decrease(Gfn{0}, k_2m + 9) == k_2m);  // a part of a folio that is pinned
  CHECK(world.pod.decrease(Gfn{k_2m}, 9).error() == Error::busy);
  CHECK(world.word(k_2m) == 2);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: a balloon over entries that cannot be cut says how far it got") {
  Believer world(k_2m, 4 * k_2m, 3);
  CHECK(*world.pod.decrease(Gfn{0}, k_2m + 1) == k_2m);
  CHECK(world.pod.decrease(Gfn{k_2m}, 1).error() == Error::no_table_memory);
  CHECK(world.type(k_2m) == Type::pod);
  CHECK(world.problem() == "");
}

TEST_CASE("D4: memory that was given up while somebody still refers to it goes to the machine when that one is done") {
  Believer world(k_2m, 4 * k_2m);
  world.write(0, 7);
  const u64 free = world.machine.statistics().free_frames();
  {
    const mm::Folio pin = world.pin(0);
    CHECK(*world.pod.decrease(Gfn{0}, k_2m) == k_2m);
    CHECK(world.simulated.read64(to_hpa(pin.mfn())) == 7);  // not zeroed under him
    CHECK(world.pod.accounts().cached() == 0);
    CHECK(world.machine.statistics().free_frames() == free);
  }
  CHECK(world.machine.statistics().free_frames() == free + k_2m);
}

TEST_CASE("P7: what cannot be promoted is told, and the target of a copy goes back to the cache") {
  Believer world(3 * k_2m, 8 * k_2m);
  CHECK(world.pod.promote(Gfn{0}, k_order_2m, 1).error() == Error::not_found);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.pod.decrease(Gfn{i}, 1));
  for (u64 i = 0; i < k_2m; ++i) {
    REQUIRE(world.pod.add_entries(Gfn{i ^ 1}, 1));
    world.write(i ^ 1, i + 1);
  }
  CHECK(world.pod.promote(Gfn{1}, k_order_2m, 1).error() == Error::misaligned);
  const u64 cached = world.pod.accounts().cached();
  {
    const mm::Folio pin = world.pin(9);
    CHECK(world.pod.promote(Gfn{0}, k_order_2m, 1).error() == Error::busy);
  }
  CHECK(world.pod.accounts().cached() == cached);
  CHECK(world.problem() == "");
}

TEST_CASE("D9: what cannot be marked says how far it got, and fails when there is nothing before it") {
  Believer world(k_2m, 4 * k_2m, 3);  // the root and two tables: entries of 2M
  REQUIRE(*world.pod.decrease(Gfn{0}, 2 * k_2m) == 2 * k_2m);
  CHECK(world.pod.increase(Gfn{0}, 1).error() == Error::no_table_memory);
  CHECK(world.type(0) == Type::invalid);
  CHECK(*world.pod.increase(Gfn{0}, k_2m + 1) == k_2m);
  CHECK(world.type(0) == Type::pod);
  CHECK(world.type(k_2m) == Type::invalid);
  CHECK(world.problem() == "");
}

TEST_CASE("P7: what cannot be promoted whatever there is to copy into is told as such") {
  Believer world(k_2m, 8 * k_2m);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.pod.decrease(Gfn{i}, 1));
  for (u64 i = 0; i < k_2m; ++i) {
    REQUIRE(world.pod.add_entries(Gfn{i ^ 1}, 1));
    world.write(i ^ 1, i + 1);
  }
  const std::vector<mm::Folio> hoard = world.hoard();
  REQUIRE(world.pod.accounts().cached() == 0);
  CHECK(world.pod.promote(Gfn{1}, k_order_2m, 1).error() == Error::misaligned);
  CHECK(world.pod.promote(Gfn{4 * k_2m}, k_order_2m, 1).error() == Error::not_found);
  CHECK(world.pod.promote(Gfn{0}, k_order_512g, 1).error() == Error::unsupported);
  CHECK(world.pod.promote(Gfn{0}, k_order_2m, 1).error() == Error::out_of_memory);
  CHECK(world.problem() == "");
}
