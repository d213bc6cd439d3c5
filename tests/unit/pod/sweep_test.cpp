// SPDX-License-Identifier: Apache-2.0
// How a sweep goes on where it stopped, what its budget buys, and what it leaves alone (D5).
#include <catch2/catch.hpp>

#include "p2m/backing.hpp"
#include "tests/unit/pod/pod_world.hpp"

using namespace octavo;
using model::Believer;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

/// Eight 2M leaves that the guest has touched and not written.
struct Touched : Believer {
  Touched() : Believer(8 * k_2m, 16 * k_2m) {
    for (u64 i = 0; i < 8; ++i) REQUIRE(pod.populate(Gfn{i * k_2m}));
  }
};
}  // namespace

TEST_CASE("D5: a sweep looks at as many leaves as it may, and goes on with the next") {
  Touched world;
  CHECK(world.pod.sweep(k_order_2m, 0) == 0);
  CHECK(world.pod.sweep(k_order_2m, 1) == k_2m);
  CHECK(world.type(0) == Type::pod);
  CHECK(world.type(k_2m) == Type::ram_rw);
  CHECK(world.pod.sweep(k_order_2m, 2) == 2 * k_2m);
  CHECK(world.type(2 * k_2m) == Type::pod);
  CHECK(world.type(3 * k_2m) == Type::ram_rw);
  CHECK(world.pod.sweep(k_order_2m, 1000) == 5 * k_2m);
  CHECK(world.pod.statistics().reclaimed_unwritten == 8 * k_2m);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: a sweep begins again at the bottom, and ends where it began") {
  Touched world;
  REQUIRE(world.pod.sweep(k_order_2m, 3) == 3 * k_2m);
  REQUIRE(world.pod.populate(Gfn{0}));
  CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 6 * k_2m);
  CHECK(world.type(0) == Type::pod);
}

TEST_CASE("D5: sweeps of each order have places of their own") {
  Touched world;
  REQUIRE(world.pod.sweep(k_order_2m, 4) == 4 * k_2m);
  CHECK(world.pod.sweep(k_order_4k, 5) == 1);  // four entries of 2M are passed, each as a whole
  CHECK(world.type(4 * k_2m) == Type::pod);
  CHECK(world.type(4 * k_2m + 1) == Type::ram_rw);
}

TEST_CASE("D5: a sweep of an order that is none, or of a domain without entries, finds nothing") {
  Touched world;
  for (const Order order : {Order{1}, Order{10}, k_order_512g}) CHECK(world.pod.sweep(order, 100) == 0);
  pod::Pod nothing(world.p2m);
  CHECK(nothing.sweep(k_order_2m, 100) == 0);
  CHECK(world.type(0) == Type::ram_rw);
}

TEST_CASE("D5: memory whose writes are being logged is left alone") {
  Touched world;
  REQUIRE(world.p2m.change_type(Gfn{0}, 2 * k_2m, Type::ram_rw, Type::log_dirty));
  CHECK(world.pod.sweep(k_order_2m, 2) == 0);
  CHECK(world.type(0) == Type::log_dirty);
}

TEST_CASE("D5: memory of another type is taken, and put back under that type") {
  Touched world;
  world.write(0, 0);
  world.write(7, 9);  // where the quick look does not look first
  *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{7}).mfn))) = 0;
  *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{7}).mfn) + 8)) = 9;
  REQUIRE(world.p2m.change_type(Gfn{0}, k_2m, Type::ram_rw, Type::ram_ro));
  CHECK(world.pod.sweep(k_order_2m, 1) == 0);
  CHECK(world.pod.statistics().restored == 1);
  CHECK(world.type(0) == Type::ram_ro);
  CHECK(world.p2m.lookup(Gfn{0}).written);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: a word anywhere in a leaf keeps it") {
  for (const u64 frame : {u64{0}, u64{1}, u64{255}, u64{511}}) {
    for (const u64 word : {u64{0}, u64{1}, u64{300}, u64{511}}) {
      Believer world(k_2m, 4 * k_2m);
      world.write(0, 0);
      *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{frame}).mfn) + word * 8)) = 1;
      REQUIRE(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
      REQUIRE(world.type(0) == Type::ram_rw);
      REQUIRE(world.problem() == "");
    }
  }
}

TEST_CASE("D5: a leaf in use is seen by the quick look, and costs the guest no flush") {
  Believer world(k_2m, 4 * k_2m);
  world.write(0, 0);
  for (u64 i = 0; i < k_2m; ++i) *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{i}).mfn) + 37 * 8)) = 1;
  const u64 flushes = world.simulated.flushes;
  CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
  CHECK(world.simulated.flushes == flushes);
  CHECK(world.pod.statistics().restored == 0);
}

TEST_CASE("D5: a part of a larger leaf is looked through before the leaf is cut, on the budget") {
  Believer world(k_2m, 4 * k_2m);
  world.write(0, 0);
  *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{0}).mfn) + 8)) = 1;  // the quick look does not see it
  CHECK(world.pod.sweep(k_order_4k, 1) == 0);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_2m);
  CHECK(world.pod.statistics().restored == 0);
  CHECK(world.pod.sweep(k_order_4k, 2) == 1);  // the second frame: one look and one frame
  CHECK(world.type(1) == Type::pod);
  CHECK(world.type(2) == Type::ram_rw);
  CHECK(world.pod.statistics().reclaimed_zero == 1);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: a full look is paid for frame by frame") {
  Believer world(4 * k_2m, 8 * k_2m);
  for (u64 i = 0; i < 4; ++i) world.write(i * k_2m, 0);
  CHECK(world.pod.sweep(k_order_2m, 2) == k_2m);  // what has begun is finished
  CHECK(world.pod.sweep(k_order_2m, k_2m + 2) == 2 * k_2m);
  CHECK(world.pod.statistics().reclaimed_zero == 3 * k_2m);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: a gigabyte that was never written comes back at once") {
  Believer world(k_1g, 2 * k_1g);
  REQUIRE(world.pod.populate(Gfn{k_1g}));
  CHECK(world.pod.sweep(k_order_1g, 5) == k_1g);
  CHECK(world.p2m.lookup(Gfn{k_1g}).order == k_order_1g);
  CHECK(world.type(k_1g) == Type::pod);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: what a sweep takes while something is pending goes to the machine, and counts as found") {
  Touched world;
  REQUIRE(world.pod.set_target(7 * k_2m)->pending == k_2m);
  const u64 free = world.machine.statistics().free_frames();
  CHECK(world.pod.sweep(k_order_2m, 2) == 2 * k_2m);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().cached() == k_2m);
  CHECK(world.machine.statistics().free_frames() == free + k_2m);
  CHECK(world.problem() == "");
}

TEST_CASE("D5: memory that only the hypervisor wrote is seen by the quick look, too") {
  Believer world(k_2m, 4 * k_2m);
  REQUIRE(world.pod.populate(Gfn{0}));
  const u8 byte = 9;
  REQUIRE(p2m::write_guest(world.p2m, Gpa{0}, {&byte, 1}));
  REQUIRE_FALSE(world.p2m.lookup(Gfn{0}).dirty);
  const u64 flushes = world.simulated.flushes;
  CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
  CHECK(world.simulated.flushes == flushes);
  CHECK(world.pod.statistics().restored == 0);
}

TEST_CASE("D5: a gigabyte that was written is looked through by who may look at all of its frames, and by nobody else") {
  Believer world(k_1g, 2 * k_1g);
  world.write(0, 0);
  *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{1}).mfn))) = 1;  // the quick look does not see it
  CHECK(world.pod.sweep(k_order_1g, k_1g) == 0);
  CHECK(world.pod.statistics().restored == 0);
  CHECK(world.pod.sweep(k_order_1g, k_1g + 1) == 0);
  CHECK(world.pod.statistics().restored == 1);
  CHECK(world.problem() == "");
}
