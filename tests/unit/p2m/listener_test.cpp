// SPDX-License-Identifier: Apache-2.0
// The listener (P12) hears of every guest frame whose translation is taken away, by whatever operation, and of no others.
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

struct Ear final : p2m::Listener {
  void unlinked(Gfn first, u64 count) override { heard.emplace_back(first.value(), count); }
  std::vector<std::pair<u64, u64>> heard;
};

struct HeardWorld : World {
  HeardWorld() : World(GENERATE(Paging::npt, Paging::ept), u64{1} << 28) { p2m.set_listener(&ear); }
  ~HeardWorld() { p2m.set_listener(nullptr); }
  HeardWorld(const HeardWorld&) = delete;
  HeardWorld& operator=(const HeardWorld&) = delete;
  /// What was heard since the last time.
  [[nodiscard]] std::vector<std::pair<u64, u64>> heard() { return std::exchange(ear.heard, {}); }
  Ear ear;
};
using Ranges = std::vector<std::pair<u64, u64>>;
}  // namespace

TEST_CASE("P12: a listener hears of each operation's own range, not of an earlier one's, nor of what was a hole") {
  HeardWorld world;
  for (const u64 at : {u64{3}, u64{9}, u64{40}}) static_cast<void>(world.mapped_folio(Gfn{at}, k_order_4k));
  CHECK(world.heard().empty());
  REQUIRE(world.p2m.unmap_range(Gfn{9}, 1));
  CHECK(world.heard() == Ranges{{9, 1}});
  REQUIRE(world.p2m.unmap_range(Gfn{3}, 1));
  CHECK(world.heard() == Ranges{{3, 1}});
  REQUIRE(world.p2m.unmap_range(Gfn{40}, 1));
  CHECK(world.heard() == Ranges{{40, 1}});
}

TEST_CASE("P12: what one operation takes away in several places is heard from the first to the last") {
  HeardWorld world;
  static_cast<void>(world.mapped_folio(Gfn{3}, k_order_4k));
  static_cast<void>(world.mapped_folio(Gfn{9}, k_order_4k));
  REQUIRE(world.p2m.unmap_range(Gfn{0}, 20));
  CHECK(world.heard() == Ranges{{3, 7}});
}

TEST_CASE("P12: a listener hears nothing when only entries that mapped nothing go") {
  HeardWorld world;
  REQUIRE(world.p2m.set_hole(Gfn{5}, 1, Type::pod));
  REQUIRE(world.p2m.unmap_range(Gfn{5}, 1));
  CHECK(world.p2m.statistics().collapses > 0);
  CHECK(world.heard().empty());
}

TEST_CASE("P12: a listener hears of rights that are taken, at once or lazily, and not of those that are given") {
  HeardWorld world;
  static_cast<void>(world.mapped_folio(Gfn{3}, k_order_4k));
  REQUIRE(world.p2m.change_type(Gfn{3}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.heard() == Ranges{{3, 1}});
  REQUIRE(world.p2m.change_type(Gfn{3}, 1, Type::ram_ro, Type::ram_rw));
  CHECK(world.heard().empty());
  REQUIRE(world.p2m.change_type(Gfn{0}, k_1g, Type::ram_rw, Type::log_dirty));
  CHECK(world.heard() == Ranges{{0, k_1g}});
}

TEST_CASE("P12: a listener hears of what is taken out, promoted, moved and torn down") {
  HeardWorld world;
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  REQUIRE(world.p2m.take_out(Gfn{0}, k_order_2m, Type::invalid));
  CHECK(world.heard() == Ranges{{0, k_2m}});
  static_cast<void>(world.mapped_folio(Gfn{k_2m}, k_order_2m));
  REQUIRE(world.p2m.change_type(Gfn{k_2m}, 1, Type::ram_rw, Type::ram_ro));
  REQUIRE(world.p2m.change_type(Gfn{k_2m}, 1, Type::ram_ro, Type::ram_rw));
  static_cast<void>(world.heard());
  REQUIRE(world.p2m.promote(Gfn{k_2m}, k_order_2m));
  CHECK(world.heard() == Ranges{{k_2m, k_2m}});
  REQUIRE(world.p2m.unmap_range(Gfn{k_2m}, k_2m));
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i ^ 1}, k_order_4k));
  auto target = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(target);
  static_cast<void>(world.heard());
  REQUIRE(world.p2m.begin_move(Gfn{0}, k_order_2m, *target));
  CHECK(world.heard() == Ranges{{0, k_2m}});
  REQUIRE(world.p2m.continue_move(k_2m));
  static_cast<void>(world.heard());
  world.p2m.destroy();
  CHECK(world.heard() == Ranges{{0, k_2m}});
}
