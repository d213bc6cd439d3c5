// SPDX-License-Identifier: Apache-2.0
// Plans are exact: an operation is refused with one table fewer than it uses, and never for the want of a table that it would not use.
#include <catch2/catch.hpp>
#include <functional>

#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

struct Operation {
  const char* name;
  std::function<Result<void>(World&, Mfn)> run;
};

/// On a p2m whose first gigabyte is one leaf, with a folio of 4M at hand. Tables beside the three that are there at first.
u64 fewest_tables(const Operation& operation, u64 setup_tables, const std::function<void(World&)>& prepare) {
  for (u64 spare = 0; spare < 40; ++spare) {
    World world(GENERATE(Paging::npt, Paging::ept), u64{3} << 30, setup_tables + spare);
    prepare(world);
    const auto folio = world.machine.allocate(Order{11}, World::k_domain, mm::FrameKind::guest);
    REQUIRE(folio);
    const Result<void> done = operation.run(world, folio->mfn());
    REQUIRE(world.check() == "");
    if (!done) {
      REQUIRE(done.error() == Error::no_table_memory);
      continue;
    }
    const auto tables = world.p2m.statistics().tables;
    INFO(operation.name);
    CHECK(tables.peak == tables.reserved);
    return spare;
  }
  FAIL(operation.name << " wants ever more tables");
  return 0;
}
void one_gigabyte(World& world) { static_cast<void>(world.mapped_folio(Gfn{0}, k_order_1g)); }
}  // namespace

TEST_CASE("P5: exactly the tables that an operation uses have to be there") {
  using Expected = std::pair<Operation, u64>;
  const auto change = [](u64 first, u64 count) {
    return [=](World& world, Mfn) { return world.p2m.change_type(Gfn{first}, count, Type::ram_rw, Type::ram_ro); };
  };
  const auto map = [](u64 gfn, u64 frame, u64 count) {
    return [=](World& world, Mfn mfn) { return world.p2m.set_range(Gfn{gfn}, mfn + frame, count, Type::ram_rw); };
  };
  const auto hole = [](u64 gfn, u64 count) { return [=](World& world, Mfn) { return world.p2m.set_hole(Gfn{gfn}, count, Type::invalid); }; };
  const auto entries = [](u64 gfn, u64 count) { return [=](World& world, Mfn) { return world.p2m.set_hole(Gfn{gfn}, count, Type::pod); }; };
  const Expected rows[] = {
      {{"the first frame", change(0, 1)}, 2},
      {{"the last frame", change(k_1g - 1, 1)}, 2},
      {{"all but the first frame", change(1, k_1g - 1)}, 2},
      {{"all but the last frame", change(0, k_1g - 1)}, 2},
      {{"all but both", change(1, k_1g - 2)}, 3},
      {{"frames of one 2M", change(k_2m + 1, 5)}, 2},
      {{"frames of two 2M", change(k_2m - 1, 2)}, 3},
      {{"one 2M", change(k_2m, k_2m)}, 1},
      {{"a 2M and a frame", change(k_2m, k_2m + 1)}, 2},
      {{"a frame and a 2M", change(k_2m - 1, k_2m + 1)}, 2},
      {{"all of it", change(0, k_1g)}, 0},
      {{"to the end and beyond", change(k_1g - 1, k_1g)}, 2},
      {{"a frame", map(5, 0, 1)}, 2},
      {{"two frames in one table", map(5, 5, 2)}, 2},
      {{"a 2M leaf", map(k_2m, 0, k_2m)}, 1},
      {{"a 2M leaf and its neighbours", map(k_2m - 1, k_2m - 1, k_2m + 2)}, 3},
      {{"a 2M leaf in another gigabyte", map(k_1g, 0, k_2m)}, 1},
      {{"frames on both sides of a gigabyte", map(k_1g - 1, 0, 2)}, 4},
      {{"frames far away", map(u64{3} << 27, 0, 2)}, 3},
      {{"a frame's hole", hole(5, 1)}, 2},
      {{"the hole of all", hole(0, k_1g)}, 0},
      {{"a hole in a hole", hole(k_1g, 1)}, 0},
      {{"a hole that goes on", hole(k_1g - k_2m, 2 * k_2m)}, 1},
      {{"an entry where there was a hole", entries(k_1g + 7, 1)}, 2},
      {{"an entry of 1G", entries(k_1g, k_1g)}, 0},
  };
  for (const auto& [operation, tables] : rows) {
    INFO(operation.name);
    CHECK(fewest_tables(operation, 2, one_gigabyte) == tables);
  }
}

TEST_CASE("P5: an entry that is there already wants no table, at any order") {
  const auto prepare = [](World& world) {
    one_gigabyte(world);
    REQUIRE(world.p2m.set_hole(Gfn{k_1g}, k_1g, Type::pod));
  };
  const Operation again{"entries again", [](World& world, Mfn) { return world.p2m.set_hole(Gfn{k_1g + 3}, k_2m, Type::pod); }};
  CHECK(fewest_tables(again, 2, prepare) == 0);
}

TEST_CASE("P15: taking out wants the tables of its split, and leaves everything where it is without them") {
  const Operation frame{"a frame", [](World& world, Mfn) -> Result<void> {
                          const auto taken = world.p2m.take_out(Gfn{7}, k_order_4k, Type::invalid);
                          if (!taken) return fail(taken.error());
                          return {};
                        }};
  CHECK(fewest_tables(frame, 2, one_gigabyte) == 2);
}
