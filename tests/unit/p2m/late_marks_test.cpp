// SPDX-License-Identifier: Apache-2.0
// P13: no A or D bit that a processor sets while the p2m changes an entry is lost, whatever the moment. The processor gets its turn after
// every single load from a live table, which is where a change begins to believe in what it has read.
#include <catch2/catch.hpp>
#include <functional>
#include <observe.hpp>

#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

std::function<void()> the_turn;

/// While it lives, calls f once, after load number `moment`.
class Turn {
 public:
  Turn(int moment, std::function<void()> f) {
    the_turn = [this, moment, f = std::move(f)] {
      if (loads_++ != moment || busy_) return;
      busy_ = true;
      f();
      came_ = true;
    };
    arch::entry_load_observer = [] { the_turn(); };
  }
  ~Turn() { arch::entry_load_observer = nullptr; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  [[nodiscard]] bool came() const { return came_; }
  [[nodiscard]] int loads() const { return loads_; }

 private:
  int loads_ = 0;
  bool busy_ = false, came_ = false;
};

/// Prepares a world, changes it; says which gfn is used meanwhile.
struct Change {
  const char* name;
  std::function<void(World&)> prepare;
  std::function<void(World&)> change;
};
constexpr Gfn k_used{k_1g + 3};

void map_2m(World& world) { static_cast<void>(world.mapped_folio(Gfn{k_1g}, k_order_2m)); }
void map_4k(World& world) {
  map_2m(world);
  REQUIRE(world.p2m.change_type(Gfn{k_1g}, 1, Type::ram_rw, Type::ram_ro));
  REQUIRE(world.p2m.change_type(Gfn{k_1g}, 1, Type::ram_ro, Type::ram_rw));
}
const Change k_changes[] = {
    {"split", map_2m, [](World& world) { REQUIRE(world.p2m.change_type(Gfn{k_1g}, 1, Type::ram_rw, Type::ram_ro)); }},
    {"retype", map_2m, [](World& world) { REQUIRE(world.p2m.change_type(Gfn{k_1g}, k_2m, Type::ram_rw, Type::ram_ro)); }},
    {"retype lazily", map_4k, [](World& world) { REQUIRE(world.p2m.change_type(Gfn{k_1g}, k_1g, Type::ram_rw, Type::log_dirty)); }},
    {"push down", [](World& world) { map_4k(world); REQUIRE(world.p2m.change_type(Gfn{k_1g}, k_2m, Type::ram_rw, Type::log_dirty)); },
     [](World& world) { world.p2m.push_down(k_used); }},
    {"push down twice", [](World& world) { map_4k(world); REQUIRE(world.p2m.change_type(Gfn{k_1g}, k_1g, Type::ram_rw, Type::log_dirty)); },
     [](World& world) { world.p2m.push_down(k_used); }},
    {"map the same again", map_2m, [](World& world) { REQUIRE(world.p2m.set(Gfn{k_1g}, world.p2m.lookup(Gfn{k_1g}).mfn, k_order_2m, Type::ram_ro)); }},
    {"promote", map_4k, [](World& world) { REQUIRE(world.p2m.promote(Gfn{k_1g}, k_order_2m)); }},
};
}  // namespace

TEST_CASE("P13: an access at any moment of a change leaves its A bit, and a write its D bit") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    for (const Change& change : k_changes) {
      for (const bool write : {false, true}) {
        INFO(change.name << (write ? ", write" : ", read"));
        // All moments near the beginning and near the end; in between, 512 entries are treated alike.
        int last = 0;
        for (int moment = 0; moment <= last; moment += moment < 24 || moment > last - 24 ? 1 : 23) {
          World world(paging, u64{64} << 20, 16);
          change.prepare(world);
          bool reached = false;
          {
            const Turn turn(moment, [&] {
              reached = world.tlb0.access(world.root(), k_used.value(), write).has_value();
              world.tlb0.settle_marks();
            });
            change.change(world);
            last = turn.loads() - 1;
            REQUIRE(turn.came());
          }
          if (reached) {
            INFO("moment " << moment);
            REQUIRE(world.p2m.lookup(k_used).accessed);
            REQUIRE((!write || world.p2m.lookup(k_used).dirty));
            // A walk for what was accessed finds A at every level: ageing passes by what says otherwise.
            const model::NestedWalk walk = world.walk(k_used);
            for (unsigned level = walk.last_level; level < 4; ++level) {
              const u64 accessed = paging == Paging::npt ? u64{1} << 5 : u64{1} << 8;
              REQUIRE((world.simulated.read64(Hpa{walk.entry_address[level]}) & accessed) != 0);
            }
          }
          REQUIRE(world.check() == "");
        }
        CHECK(last > 2);
      }
    }
  }
}

TEST_CASE("P13: memory that is taken out says that it was written, whatever the moment of the write") {
  for (int moment = 0;; ++moment) {
    World world(GENERATE(Paging::npt, Paging::ept), u64{64} << 20, 16);
    map_2m(world);
    bool wrote = false, came = false;
    {
      const Turn turn(moment, [&] { wrote = world.tlb0.access(world.root(), k_used.value(), true).has_value(); });
      const auto taken = world.p2m.take_out(Gfn{k_1g}, k_order_2m, Type::invalid);
      REQUIRE(taken);
      REQUIRE(taken->dirty == wrote);
      came = turn.came();
    }
    if (!came) break;
    REQUIRE(world.check() == "");
    REQUIRE(moment < 1000);
  }
}
