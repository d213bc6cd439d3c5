// SPDX-License-Identifier: Apache-2.0
// The look for zero memory of faults that find the cache empty (D3, D7): it is bounded, goes on where it was, and out_of_memory is said only
// after a whole look that began when memory had run out.
#include <catch2/catch.hpp>

#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using model::Believer;

namespace {
constexpr u64 k_2m = 512;

/// A guest that has all that it may have, and all of it in use.
struct Full : Believer {
  explicit Full(u64 leaves) : Believer(leaves * k_2m, (leaves + 2) * k_2m), entries(leaves * k_2m) {
    for (u64 gfn = 0; gfn < entries; ++gfn) write(gfn, gfn + 1);
  }
  /// Faults until the look is over.
  Result<void> fault(u64 gfn) {
    Result<void> populated = pod.populate(Gfn{gfn});
    for (u64 faults = 0; !populated && populated.error() == Error::again; ++faults) {
      REQUIRE(faults < 100);
      populated = pod.populate(Gfn{gfn});
    }
    return populated;
  }
  /// The guest writes a word into memory that it has.
  void put(u64 gfn, u64 value) { *reinterpret_cast<u64*>(simulated.at(to_hpa(p2m.lookup(Gfn{gfn}).mfn))) = value; }

  u64 entries;  ///< from here on
};
}  // namespace

TEST_CASE("D3, D5: one fault does not look at all of the guest's memory") {
  Full world(8);
  CHECK(world.pod.populate(Gfn{world.entries}).error() == Error::again);
  CHECK(world.pod.statistics().out_of_memory == 0);
  CHECK(world.fault(world.entries).error() == Error::out_of_memory);
  CHECK(world.problem() == "");
}

TEST_CASE("D7: after memory has run out, the next fault looks at everything again") {
  Full world(2);
  REQUIRE(world.fault(world.entries).error() == Error::out_of_memory);
  world.put(5, 0);
  CHECK(world.fault(world.entries));
  CHECK(world.type(5) == p2m::Type::pod);
  CHECK(world.type(world.entries) == p2m::Type::ram_rw);
  CHECK(world.problem() == "");
}

TEST_CASE("D7: after a look that found something, the next one is a whole one") {
  Full world(2);
  world.put(world.entries - 1, 0);
  REQUIRE(world.fault(world.entries));
  REQUIRE(world.type(world.entries - 1) == p2m::Type::pod);
  world.write(world.entries, 1);
  world.put(5, 0);
  CHECK(world.fault(world.entries + 1));
  CHECK(world.type(5) == p2m::Type::pod);
  CHECK(world.problem() == "");
}

TEST_CASE("D7: after a fault that the cache served, the next look is a whole one") {
  Full world(8);
  REQUIRE(world.pod.populate(Gfn{world.entries}).error() == Error::again);
  while (world.pod.statistics().searches < 3) REQUIRE(world.pod.populate(Gfn{world.entries}).error() == Error::again);
  REQUIRE(world.pod.populate(Gfn{world.entries}).error() == Error::again);
  REQUIRE(*world.pod.decrease(Gfn{world.entries - 1}, 1) == 1);
  REQUIRE(world.pod.populate(Gfn{world.entries}));
  world.write(world.entries, 1);
  world.put(5, 0);
  CHECK(world.fault(world.entries + 1));
  CHECK(world.type(5) == p2m::Type::pod);
  CHECK(world.problem() == "");
}

TEST_CASE("D7: memory has not run out as long as some that was given up is still to be zeroed") {
  constexpr u64 k_1g = 512 * 512;
  constexpr u64 k_gigabytes = 13;
  Believer world(k_gigabytes * k_1g, (k_gigabytes + 1) * k_1g, 64, p2m::k_all_orders, u64{16} << 30);
  for (u64 i = 0; i < k_gigabytes; ++i) world.write(i * k_1g, 1);
  REQUIRE(world.p2m.change_type(Gfn{0}, k_gigabytes * k_1g, p2m::Type::ram_rw, p2m::Type::log_dirty));  // a look passes them by
  const Gfn entry{k_gigabytes * k_1g};
  REQUIRE(world.pod.populate(entry).error() == Error::again);
  REQUIRE(*world.pod.decrease(Gfn{0}, k_gigabytes * k_1g) == k_gigabytes * k_1g);
  REQUIRE(world.pod.set_target(k_1g)->pending == (k_gigabytes - 1) * k_1g);  // one is to stay
  u64 faults = 0;
  for (Result<void> populated = fail(Error::again); !populated; ++faults) {
    REQUIRE(populated.error() == Error::again);
    REQUIRE(faults < 10'000);
    populated = world.pod.populate(entry);
  }
  CHECK(world.type(entry.value()) == p2m::Type::ram_rw);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.problem() == "");
}
