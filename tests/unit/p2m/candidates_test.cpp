// SPDX-License-Identifier: Apache-2.0
// Which tables are told as worth promoting (P7): those that have become full of memory, each once; and again when asked to look again.
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_bytes = u64{64} << 20;
using Told = std::vector<std::pair<u64, unsigned>>;

void fill(World& world, Gfn gfn, u64 count = k_2m) {
  for (u64 i = 0; i < count; ++i) static_cast<void>(world.mapped_folio(gfn + i, k_order_4k));
}
/// All that is told until there is no more.
Told told(World& world) {
  Told all;
  for (;;) {
    const auto candidate = world.p2m.next_candidate(~u64{0});
    if (!candidate) {
      REQUIRE(candidate.error() == Error::not_found);
      return all;
    }
    all.emplace_back(candidate->gfn.value(), candidate->order.value());
    REQUIRE(all.size() < 600);
  }
}
/// The first gigabyte in leaves of 2M, except for those before `first`.
void fill_gigabyte(World& world, u64 first) {
  for (u64 i = first; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i * k_2m}, k_order_2m));
}
}  // namespace

TEST_CASE("P7: a table is told when the last of its 512 entries has become memory, not before, and once") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  fill(world, Gfn{k_2m}, 1);
  CHECK(told(world).empty());
  fill(world, Gfn{k_2m + 1}, k_2m - 2);
  CHECK(told(world).empty());
  fill(world, Gfn{2 * k_2m - 1}, 1);
  static_cast<void>(world.mapped_folio(Gfn{k_2m + 7}, k_order_4k));  // full still
  CHECK(told(world) == Told{{k_2m, 9}});
  CHECK(told(world).empty());
}

TEST_CASE("P7: two tables are told one after the other") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  fill(world, Gfn{3 * k_2m});
  fill(world, Gfn{k_2m});
  CHECK(told(world) == Told{{3 * k_2m, 9}, {k_2m, 9}});
}

TEST_CASE("P7: a table that is full again and again is told again and again") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  fill(world, Gfn{0});
  for (int round = 0; round < 70; ++round) {
    INFO("round " << round);
    REQUIRE(told(world) == Told{{0, 9}});
    REQUIRE(world.p2m.unmap_range(Gfn{5}, 1));
    fill(world, Gfn{5}, 1);
  }
}

TEST_CASE("P7: a domain that may not have the larger leaf is told of none") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16, {k_order_4k});
  fill(world, Gfn{0});
  CHECK(told(world).empty());
  world.p2m.look_again();
  CHECK(told(world).empty());
}

TEST_CASE("P7: a domain that may have 2M and not 1G is told of no gigabyte") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{2} << 30, 64, {k_order_4k, k_order_2m});
  fill_gigabyte(world, 0);
  CHECK(told(world).empty());
  world.p2m.look_again();
  CHECK(told(world).empty());
}

TEST_CASE("P7: a table full of 1G leaves is told of by nobody: there is nothing larger") {
  constexpr u64 k_1g = k_2m * k_2m;
  World world(GENERATE(Paging::npt, Paging::ept), u64{40} << 30, 64);
  Mfn mfn{};
  for (u64 i = 0; i < k_2m; ++i) {  // each folio is there at as many places as its references can count
    if (i % 14 == 0) mfn = world.mapped_folio(Gfn{i * k_1g}, k_order_1g);
    else REQUIRE(world.p2m.set(Gfn{i * k_1g}, mfn, k_order_1g, Type::ram_rw));
  }
  world.p2m.look_again();
  CHECK(told(world).empty());
}

TEST_CASE("P7: looking again tells each full table once, and nothing else, from the first to the last") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  fill(world, Gfn{0});
  fill(world, Gfn{world.p2m.limit().value() - k_2m});
  fill(world, Gfn{2 * k_2m}, k_2m - 1);
  static_cast<void>(world.mapped_folio(Gfn{3 * k_2m}, k_order_2m));
  REQUIRE(world.p2m.set(Gfn{4 * k_2m}, Mfn{u64{1} << 30}, k_order_2m, Type::mmio_direct));
  REQUIRE(world.p2m.set_hole(Gfn{5 * k_2m}, k_2m, Type::pod));
  static_cast<void>(told(world));
  for (int round = 0; round < 2; ++round) {
    world.p2m.look_again();
    CHECK(told(world) == Told{{0, 9}, {world.p2m.limit().value() - k_2m, 9}});
  }
}

TEST_CASE("P7: a gigabyte of 2M leaves is told once, whether the last of them was mapped, promoted or moved there") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30);
  fill_gigabyte(world, 1);
  CHECK(told(world).empty());
  world.p2m.look_again();
  CHECK(told(world).empty());
  SECTION("mapped") { static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m)); }
  SECTION("mapped over a full table that is not asked for yet") {
    fill(world, Gfn{0});
    static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
    const auto first = world.p2m.next_candidate(1);
    REQUIRE(first);
    CHECK(first->order == k_order_2m);
  }
  SECTION("promoted") {
    static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
    REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
    REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_ro, Type::ram_rw));
    static_cast<void>(told(world));
    REQUIRE(world.p2m.promote(Gfn{0}, k_order_2m));
  }
  SECTION("moved") {
    for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i ^ 1}, k_order_4k));
    static_cast<void>(told(world));
    auto target = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
    REQUIRE(target);
    REQUIRE(world.p2m.begin_move(Gfn{0}, k_order_2m, *target));
    CHECK(told(world).empty());
    REQUIRE(world.p2m.continue_move(k_2m));
  }
  CHECK(told(world) == Told{{0, 18}});
  CHECK(told(world).empty());
  world.p2m.look_again();
  CHECK(told(world) == Told{{0, 18}});
}
