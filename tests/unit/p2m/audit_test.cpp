// SPDX-License-Identifier: Apache-2.0
// The audit (P14) is what all other memory tests rely on: each kind of finding is shown to be found, alone, and where it is.
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;
using Finding = p2m::AuditReport::Finding;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;

/// A p2m with one 2M leaf, whose entries and counts a test may spoil.
struct Spoilt : World {
  Spoilt() : World(GENERATE(Paging::npt, Paging::ept), u64{1} << 30) { mfn = mapped_folio(Gfn{k_2m}, k_order_2m); }
  [[nodiscard]] u64& entry(Gfn gfn, unsigned level) { return *reinterpret_cast<u64*>(simulated.at(Hpa{walk(gfn).entry_address[level]})); }
  [[nodiscard]] u64 leaf(Mfn at, unsigned level, Type type = Type::ram_rw) const {
    const p2m::Format& format = p2m.configuration().paging == Paging::npt ? p2m::k_npt : p2m::k_ept;
    return format.encode(p2m::Leaf{.mfn = at, .type = type}, level);
  }
  [[nodiscard]] p2m::AuditReport with(u64& what, u64 value) const {
    const u64 good = std::exchange(what, value);
    const p2m::AuditReport report = p2m.audit();
    what = good;
    return report;
  }
  Mfn mfn;
};
}  // namespace

TEST_CASE("P14: a clean audit reports what there is") {
  Spoilt world;
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k, Type::ram_ro));
  REQUIRE(world.p2m.set_hole(Gfn{4 * k_1g}, 1, Type::pod));
  const p2m::AuditReport report = world.p2m.audit();
  CHECK(report.clean());
  CHECK(report.first == Finding::none);
  CHECK(report.tables == world.p2m.statistics().tables.used);
  CHECK(report.mapped_frames == k_2m + 1);
  CHECK(report.leaves[0][static_cast<usize>(Type::ram_ro)] == 1);
  CHECK(report.leaves[1][static_cast<usize>(Type::ram_rw)] == 1);
  CHECK(report.leaves[0][static_cast<usize>(Type::pod)] == 1);
  CHECK(report.leaves[0][static_cast<usize>(Type::invalid)] == 0);
  world.p2m.destroy();
  CHECK(world.p2m.audit().clean());
}

TEST_CASE("P14: an entry of no known type, and a leaf where no leaf can be, are unsound") {
  Spoilt world;
  const u64 unknown = u64{static_cast<u8>(Type::count_)} << p2m::Format::k_type_shift;
  const p2m::AuditReport report = world.with(world.entry(Gfn{k_2m + 1}, 1), unknown);
  CHECK(report.first == Finding::unsound_entry);
  CHECK(report.first_gfn == Gfn{k_2m});
  CHECK(world.with(world.entry(Gfn{0}, 3), world.leaf(Mfn{0}, 3)).first == Finding::unsound_entry);
}

TEST_CASE("P14: a hole of a type above the largest leaf is found") {
  Spoilt world;
  const p2m::AuditReport report = world.with(world.entry(Gfn{u64{5} << 27}, 3), u64{static_cast<u8>(Type::pod)} << p2m::Format::k_type_shift);
  CHECK(report.first == Finding::order_not_allowed);
  CHECK(report.first_gfn == Gfn{u64{5} << 27});
  CHECK(report.findings == 1);
}

TEST_CASE("P14: a leaf of an order that the domain may not have is found") {
  World world(Paging::ept, u64{1} << 30, 16, {k_order_4k});
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  const auto folio = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  u64& entry = *reinterpret_cast<u64*>(world.simulated.at(Hpa{world.walk(Gfn{k_2m}).entry_address[1]}));
  entry = p2m::k_ept.encode(p2m::Leaf{.mfn = folio->mfn(), .type = Type::ram_rw}, 1);
  CHECK(world.p2m.audit().first == Finding::order_not_allowed);
  CHECK(world.p2m.audit().first_gfn == Gfn{k_2m});
  entry = 0;
  CHECK(world.check() == "");
}

TEST_CASE("P14: memory that is another's, or of another kind, or nobody's, is found") {
  Spoilt world;
  const auto foreign = world.machine.allocate(k_order_2m, DomainId{8}, mm::FrameKind::guest);
  const auto own_table = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::table);
  REQUIRE((foreign && own_table));
  for (const Mfn wrong : {foreign->mfn(), own_table->mfn(), Mfn{u64{1} << 30}}) {
    const p2m::AuditReport report = world.with(world.entry(Gfn{k_2m}, 1), world.leaf(wrong, 1));
    CHECK(report.findings == 1);
    CHECK(report.first == Finding::wrong_owner);
    CHECK(report.first_gfn == Gfn{k_2m});
  }
}

TEST_CASE("P14: a leaf that is larger than its folio, or has too few references, is found") {
  Spoilt world;
  auto whole = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(whole);
  const Mfn other = whole->mfn();
  const p2m::AuditReport few = world.with(world.entry(Gfn{k_2m}, 1), world.leaf(other, 1));
  CHECK(few.first == Finding::missing_references);
  CHECK(few.first_gfn == Gfn{k_2m});
  CHECK(few.findings == 1);
  REQUIRE(world.machine.carve(other, Order{8}, World::k_domain, [&](Mfn mfn, u64) { return mfn == other ? 1u : 0u; }));
  std::vector<mm::Folio> references;  // enough of them, so that only the order is wrong
  for (int i = 0; i < 2; ++i) references.push_back(*world.machine.reference(other, Order{8}, World::k_domain, mm::FrameKind::guest));
  const p2m::AuditReport small = world.with(world.entry(Gfn{k_2m}, 1), world.leaf(other, 1));
  CHECK(small.first == Finding::missing_references);
  CHECK(small.findings == 1);
}

TEST_CASE("P14: a table that is not the domain's is found, and one that is nobody's") {
  Spoilt world;
  const auto foreign = world.machine.allocate(k_order_4k, DomainId{8}, mm::FrameKind::table);
  const auto memory = world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE((foreign && memory));
  const auto nobody = [&] {
    const auto folio = world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::table);
    return folio->mfn();
  }();
  for (const Mfn wrong : {foreign->mfn(), memory->mfn(), nobody}) {
    // The free frame of the third row is written to by nobody; all three are tables of holes.
    const p2m::AuditReport report = world.with(world.entry(Gfn{k_2m}, 2), p2m::k_npt.encode(p2m::TableLink{.table = wrong}));
    CHECK(report.first == Finding::wrong_owner);
    CHECK(report.first_gfn == Gfn{0});
  }
}

TEST_CASE("P14: each of a table's counts is compared") {
  Spoilt world;
  REQUIRE(world.p2m.set_hole(Gfn{2 * k_2m}, k_2m, Type::pod));
  const Mfn table{world.walk(Gfn{k_2m}).entry_address[1] >> k_page_shift};
  u32& counts = world.machine.table().find(table)->previous;
  const u32 good = counts;
  for (const unsigned field : {0u, 10u, 20u}) {
    counts = good + (1u << field);
    const p2m::AuditReport report = world.p2m.audit();
    CHECK(report.findings == 1);
    CHECK(report.first == Finding::wrong_counts);
  }
  counts = good;
  CHECK(world.p2m.audit().clean());
}

TEST_CASE("P14: a table that nobody reaches is found") {
  Spoilt world;
  u64& link = world.entry(Gfn{k_2m}, 2);
  const p2m::AuditReport report = world.with(link, 0);
  CHECK(report.first == Finding::wrong_counts);
  CHECK(report.findings >= 2);  // and the pool says one more
}

TEST_CASE("P14: an unsound entry is one finding, whatever else it says, and an unsound pointer is not followed") {
  Spoilt world;
  const u64 wrong = u64{1} << 62;
  const p2m::AuditReport leaf = world.with(world.entry(Gfn{2 * k_2m}, 1), world.leaf(world.mfn, 1) | wrong);
  CHECK(leaf.findings == 1);
  CHECK(leaf.first == Finding::unsound_entry);
  const p2m::Format& format = world.p2m.configuration().paging == Paging::npt ? p2m::k_npt : p2m::k_ept;
  const p2m::AuditReport pointer = world.with(world.entry(Gfn{2 * k_2m}, 1), format.encode(p2m::TableLink{.table = Mfn{u64{1} << 30}}) | wrong);
  CHECK(pointer.findings == 1);
  CHECK(pointer.first == Finding::unsound_entry);
  CHECK(pointer.first_gfn == Gfn{2 * k_2m});
}

TEST_CASE("P14: a table that is in use and in no place is found by its number alone") {
  Spoilt world;
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  REQUIRE(world.p2m.take_out(Gfn{0}, k_order_4k, Type::invalid));
  REQUIRE(world.walk(Gfn{0}).last_level == 0);  // an empty table, for now
  u64& link = world.entry(Gfn{0}, 1);
  u32& counts = world.machine.table().find(Mfn{world.walk(Gfn{0}).entry_address[1] >> k_page_shift})->previous;
  --counts;
  const p2m::AuditReport report = world.with(link, 0);
  ++counts;
  CHECK(report.findings == 1);
  CHECK(report.first == Finding::wrong_tables);
  CHECK(world.p2m.audit().clean());
}
