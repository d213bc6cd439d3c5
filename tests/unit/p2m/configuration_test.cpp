// SPDX-License-Identifier: Apache-2.0
// What a p2m may be made of, and what it says about itself.
#include <catch2/catch.hpp>
#include <functional>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
}  // namespace

TEST_CASE("P1: a configuration that makes no sense is refused, and reserves nothing") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 28);
  const p2m::Configuration good{.domain = DomainId{9}, .table_frames = 8};
  const std::function<void(p2m::Configuration&)> mistakes[] = {
      [](p2m::Configuration& c) { c.domain = DomainId::hypervisor; },
      [](p2m::Configuration& c) { c.levels = 3; },
      [](p2m::Configuration& c) { c.levels = 6; },
      [](p2m::Configuration& c) { c.machine_limit = Mfn{(u64{1} << 40) + 1}; },
      [](p2m::Configuration& c) { c.table_frames = 0; },
      [](p2m::Configuration& c) { c.orders = {k_order_4k, k_order_1g}; },
  };
  const u64 free = world.machine.statistics().free_frames();
  for (const auto& mistake : mistakes) {
    p2m::Configuration wrong = good;
    mistake(wrong);
    p2m::P2m p2m;
    CHECK(p2m.initialize(world.machine, wrong).error() == Error::invalid_argument);
    CHECK(world.machine.statistics().free_frames() == free);
  }
  p2m::P2m p2m;
  p2m::Configuration huge = good;
  huge.table_frames = free + 1;
  CHECK(p2m.initialize(world.machine, huge).error() == Error::out_of_memory);
  REQUIRE(p2m.initialize(world.machine, good));
  CHECK(p2m.initialize(world.machine, good).error() == Error::invalid_argument);  // twice
  p2m.destroy();
  CHECK(world.machine.statistics().free_frames() == free);
}

TEST_CASE("P1: five levels, no 1G and no 2M leaves are configurations like any other") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 28);
  p2m::P2m p2m;
  REQUIRE(p2m.initialize(world.machine, {.domain = DomainId{9}, .paging = Paging::ept, .orders = {k_order_4k, k_order_2m}, .table_frames = 8, .levels = 5}));
  CHECK(p2m.limit() == Gfn{u64{1} << 45});
  const Gfn last{p2m.limit().value() - k_2m};
  REQUIRE(p2m::populate_ram(p2m, world.machine, last, k_2m));
  CHECK(p2m.lookup(last + 511).order == k_order_2m);
  CHECK(p2m.statistics().tables.used == 4);
  CHECK(p2m.audit().clean());
  p2m.destroy();
}

TEST_CASE("P1: a set of orders chooses the largest that alignment and count permit") {
  const auto largest = [](p2m::OrderSet orders, u64 alignment, u64 count) { return orders.largest(alignment, count).value(); };
  std::vector<Order> chosen{k_order_2m};
  CHECK(largest(p2m::k_all_orders, 0, k_1g) == 18);
  CHECK(largest(p2m::k_all_orders, 0, k_1g - 1) == 9);
  CHECK(largest(p2m::k_all_orders, k_2m, k_1g) == 9);
  CHECK(largest(p2m::k_all_orders, k_2m, k_2m) == 9);
  CHECK(largest(p2m::k_all_orders, k_2m, k_2m - 1) == 0);
  CHECK(largest(p2m::k_all_orders, 1, k_1g) == 0);
  CHECK(largest({k_order_4k, k_order_2m}, 0, k_1g) == 9);
  CHECK(largest({k_order_4k}, 0, k_1g) == 0);
  for (const p2m::OrderSet orders : {p2m::OrderSet{}, p2m::OrderSet{k_order_1g, k_order_2m}}) CHECK(orders.has(k_order_4k));
  CHECK_FALSE(p2m::OrderSet{chosen[0]}.has(k_order_1g));
  CHECK(p2m::OrderSet{chosen[0]}.has(k_order_2m));
}

TEST_CASE("P2: every type has a name, and what the hardware permits is what the type says") {
  struct Row {
    Type type;
    const char* name;
    p2m::Access access;
    bool ram;
  };
  const Row rows[] = {{Type::invalid, "invalid", {}, false},
                      {Type::ram_rw, "ram_rw", {true, true, true}, true},
                      {Type::ram_ro, "ram_ro", {true, false, true}, true},
                      {Type::log_dirty, "log_dirty", {true, false, true}, true},
                      {Type::pod, "pod", {}, false},
                      {Type::mmio_direct, "mmio_direct", {true, true, false}, false},
                      {Type::mmio_emulated, "mmio_emulated", {}, false},
                      {Type::transit, "transit", {}, false},
                      {Type::count_, "?", {}, false}};
  for (const Row& row : rows) {
    CHECK(std::string(p2m::to_string(row.type)) == row.name);
    CHECK(p2m::access_of(row.type) == row.access);
    CHECK(p2m::is_ram(row.type) == row.ram);
    CHECK(p2m::is_mapped(row.type) == (row.access.read || row.access.write || row.access.execute));
  }
}

TEST_CASE("P2: one access covers another when it lacks nothing that the other has") {
  for (unsigned a = 0; a < 8; ++a) {
    for (unsigned b = 0; b < 8; ++b) {
      const p2m::Access more{(a & 1) != 0, (a & 2) != 0, (a & 4) != 0};
      const p2m::Access less{(b & 1) != 0, (b & 2) != 0, (b & 4) != 0};
      CHECK(more.covers(less) == ((b & ~a) == 0));
    }
    CHECK(p2m::Access{(a & 1) != 0, (a & 2) != 0, (a & 4) != 0}.any() == (a != 0));
  }
}

TEST_CASE("P16: a p2m that is made again counts from zero") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30);
  p2m::P2m p2m;
  const p2m::Configuration configuration{.domain = DomainId{9}, .table_frames = 16};
  REQUIRE(p2m.initialize(world.machine, configuration));
  REQUIRE(p2m::populate_ram(p2m, world.machine, Gfn{0}, k_2m));
  REQUIRE(p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
  REQUIRE(p2m.statistics().splits[static_cast<usize>(p2m::SplitCause::change_type)] == 1);
  p2m.destroy();
  CHECK(p2m.destroy_some(1));  // may be called again
  REQUIRE(p2m.initialize(world.machine, configuration));
  CHECK(p2m.statistics().splits[static_cast<usize>(p2m::SplitCause::change_type)] == 0);
  REQUIRE(p2m::populate_ram(p2m, world.machine, Gfn{0}, k_2m));
  CHECK(p2m.audit().clean());
  p2m.destroy();
  CHECK(world.machine.statistics().free_frames() + world.p2m.statistics().tables.reserved == world.free_at_start);
}

TEST_CASE("P16: splits are counted by their cause, promotions by their order and by copying, collapses and flushes") {
  using p2m::SplitCause;
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 64);
  const auto splits = [&](SplitCause cause) { return world.p2m.statistics().splits[static_cast<usize>(cause)]; };
  for (u64 i = 0; i < 4; ++i) static_cast<void>(world.mapped_folio(Gfn{i * k_2m}, k_order_2m));
  const auto frame = world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(frame);
  REQUIRE(world.p2m.set(Gfn{5}, frame->mfn(), k_order_4k, Type::ram_rw));
  CHECK(splits(SplitCause::set) == 1);
  REQUIRE(world.p2m.unmap_range(Gfn{k_2m + 5}, 1));
  CHECK(splits(SplitCause::unmap) == 1);
  REQUIRE(world.p2m.take_out(Gfn{2 * k_2m + 5}, k_order_4k, Type::invalid));
  CHECK(splits(SplitCause::take_out) == 1);
  REQUIRE(world.p2m.change_type(Gfn{3 * k_2m}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(splits(SplitCause::change_type) == 1);
  REQUIRE(world.p2m.change_type(Gfn{3 * k_2m}, 1, Type::ram_ro, Type::ram_rw));
  REQUIRE(world.p2m.promote(Gfn{3 * k_2m}, k_order_2m));
  CHECK(world.p2m.statistics().promotions[1] == 1);
  CHECK(world.p2m.statistics().copied[1] == 0);
  auto target = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(target);
  {
    const auto before = world.machine.allocate(k_order_4k, DomainId{1}, mm::FrameKind::hypervisor);
    for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{k_1g + (i ^ 1)}, k_order_4k));
  }
  REQUIRE(world.p2m.begin_move(Gfn{k_1g}, k_order_2m, *target));
  CHECK(world.p2m.statistics().frames_in_transit == k_2m);
  REQUIRE(world.p2m.continue_move(k_2m));
  CHECK(world.p2m.statistics().frames_in_transit == 0);
  CHECK(world.p2m.statistics().promotions[1] == 2);
  CHECK(world.p2m.statistics().copied[1] == 1);
  const u64 flushes = world.p2m.statistics().flushes;
  REQUIRE(world.p2m.unmap_range(Gfn{k_1g}, k_2m));
  CHECK(world.p2m.statistics().flushes == flushes + 1);
  CHECK(world.p2m.statistics().collapses == 1);  // the table of 2M entries; the gigabytes below 512G are not all gone
  CHECK(world.check() == "");
}
