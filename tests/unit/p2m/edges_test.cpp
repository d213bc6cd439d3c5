// SPDX-License-Identifier: Apache-2.0
// Where the p2m's operations end: at its limit, at a folio's neighbours, at machine frame zero, and when something fails half-way.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "p2m/backing.hpp"
#include "tests/model/work.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
constexpr u64 k_mib = u64{1} << 20;
constexpr u64 k_bytes = 64 * k_mib;

mm::Folio folio_of(World& world, Order order) {
  auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  return std::move(*folio);
}

/// Two folios of 4M side by side, the lower one first.
std::pair<mm::Folio, mm::Folio> neighbours(World& world) {
  mm::Folio a = folio_of(world, Order{10});
  mm::Folio b = folio_of(world, Order{10});
  if (b.mfn() < a.mfn()) std::swap(a, b);
  REQUIRE(b.mfn() == a.mfn() + 2 * k_2m);
  return {std::move(a), std::move(b)};
}

/// A machine whose frame table lies elsewhere, so that frame 0 can be guest memory; RAM from 0 to 32M and from 65M to 96M.
struct Machine {
  explicit Machine(Paging paging) : simulated(128 * k_mib, 2) {
    const arch::MemoryRange ram[] = {{Hpa{0}, 32 * k_mib}, {Hpa{65 * k_mib}, 31 * k_mib}};
    const arch::MemoryRange free[] = {{Hpa{0}, 16 * k_mib}, {Hpa{20 * k_mib + k_page_size}, k_mib}};
    REQUIRE(machine.initialize(ram, free, mm::Contents::zero));
    REQUIRE(p2m.initialize(machine, {.domain = World::k_domain, .paging = paging, .table_frames = 16}));
  }
  model::SimulatedMachine simulated;
  mm::Machine machine;
  p2m::P2m p2m;
};
}  // namespace

TEST_CASE("P5: what lies at and beyond the limit is nothing, whatever is mapped at the beginning") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  REQUIRE(world.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::ram_rw, Type::log_dirty));
  const Gfn limit = world.p2m.limit();
  for (const Gfn beyond : {limit, Gfn{limit + 1}}) {
    const p2m::Translation there = world.p2m.lookup(beyond);
    CHECK(there.type == Type::invalid);
    CHECK(there.order == k_order_4k);
    CHECK(there.mfn == Mfn{0});
    const model::StoreLog log;
    world.p2m.mark_written(beyond, 1);
    world.p2m.push_down(beyond);
    CHECK(log.stores().empty());
  }
  CHECK_FALSE(world.p2m.lookup(Gfn{0}).written);
  CHECK(world.p2m.statistics().push_downs == 0);
  world.p2m.push_down(Gfn{0});
  CHECK(world.p2m.statistics().push_downs > 0);
}

TEST_CASE("P5: a p2m that is gone looks into no table, changes none and maps nothing") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const p2m::Format& format = world.p2m.configuration().paging == Paging::npt ? p2m::k_npt : p2m::k_ept;
  const mm::Folio table = folio_of(world, k_order_4k);
  const Mfn root = to_mfn(world.p2m.root());
  world.p2m.destroy();
  {  // somebody else's data now
    const mm::Mapping<u64> upper(root), lower(table.mfn());
    for (u64& entry : upper.span()) entry = format.encode(p2m::TableLink{.table = table.mfn(), .pending = Type::log_dirty});
    for (u64& entry : lower.span()) entry = format.encode(p2m::Leaf{.mfn = Mfn{0}, .type = Type::ram_rw}, 2);
  }
  CHECK(world.p2m.lookup(Gfn{0}).type == Type::invalid);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_4k);
  const model::StoreLog log;
  world.p2m.mark_written(Gfn{0}, 1);
  world.p2m.push_down(Gfn{0});
  CHECK(log.stores().empty());
}

TEST_CASE("D5: a range that reaches beyond the limit marks nothing at the beginning") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  world.p2m.mark_written(world.p2m.limit() - 1, 2);
  CHECK_FALSE(world.p2m.lookup(Gfn{0}).written);
}

TEST_CASE("P13: a mark is one store to the entry") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  const model::StoreLog log;
  world.p2m.mark_written(Gfn{3}, 1);
  REQUIRE(log.stores().size() == 1);
  CHECK((log.stores()[0].before ^ log.stores()[0].after) == p2m::Format::k_written);
}

TEST_CASE("P13: the 512 entries of a split are written before the one store that links them") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  const model::Work before = model::work;
  REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
  CHECK((model::work - before).stores >= 512 + 2);
}

TEST_CASE("F3, P5: a cut that somebody's reference forbids splits no leaf and stores nothing") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const Gfn at{GENERATE(u64{0}, k_2m)};
  const Mfn mfn = world.mapped_folio(at, k_order_2m);
  const auto pin = world.machine.reference(mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  const mm::Folio other = folio_of(world, k_order_4k);
  REQUIRE(pin);
  const model::StoreLog log;
  CHECK(world.p2m.unmap_range(at + 9, 3).error() == Error::busy);
  CHECK(world.p2m.set(at + 9, other.mfn(), k_order_4k, Type::ram_rw).error() == Error::busy);
  CHECK(log.stores().empty());
  CHECK(world.p2m.lookup(at).order == k_order_2m);
  CHECK(world.machine.folio_at(mfn)->order == k_order_2m);
}

TEST_CASE("F3, P5: when the second of two folios that begin at one gfn is pinned, the first is not cut either") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  // Frame 0 of the one at gfn 512 and frame 1 of the other at gfn 513; the rest of each is nowhere.
  const Gfn gfn{k_2m};
  mm::Folio first = folio_of(world, Order{2}), second = folio_of(world, Order{2});
  const Mfn one = first.mfn(), two = second.mfn();
  REQUIRE(world.p2m.set(gfn, one, k_order_4k, Type::ram_rw));
  REQUIRE(world.p2m.set(gfn + 1, two + 1, k_order_4k, Type::ram_rw));
  first.reset();
  CHECK(world.p2m.unmap_range(gfn, 2).error() == Error::busy);
  CHECK(world.machine.folio_at(one)->order == Order{2});
  CHECK(world.machine.folio_at(one)->references == 1);
  second.reset();
  CHECK(world.p2m.unmap_range(gfn, 2));
  CHECK(world.check() == "");
}

TEST_CASE("P15: an unmap sums a folio once for all of its leaves, wherever it is mapped") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{k_2m}, k_order_2m));
  REQUIRE(world.p2m.change_type(Gfn{k_2m}, 1, Type::ram_rw, Type::ram_ro));
  const model::Work before = model::work;
  REQUIRE(world.p2m.unmap_range(Gfn{k_2m}, 256));
  CHECK((model::work - before).loads < 100 * k_2m);
}

TEST_CASE("F3: a folio that is mapped again over itself loses nothing, so a reference on it is no obstacle") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
  const auto pin = world.machine.reference(mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  REQUIRE(world.p2m.set_range(Gfn{5}, mfn + 5, 3, Type::ram_ro));
  CHECK(world.p2m.lookup(Gfn{6}).type == Type::ram_ro);
  CHECK(world.machine.folio_at(mfn)->references == k_2m + 1);
  CHECK(world.check() == "");
}

TEST_CASE("P5: a folio beside the one that is mapped is not taken for it: a large leaf wants no table for single frames") {
  for (const bool upper_is_there : {false, true}) {
    World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 3);
    auto [lower, upper] = neighbours(world);
    mm::Folio& there = upper_is_there ? upper : lower;
    REQUIRE(world.p2m.set_range(Gfn{0}, there.mfn(), 2 * k_2m, Type::ram_rw));
    there.reset();
    REQUIRE(world.p2m.statistics().tables.used == 3);
    // The last 2M of the lower one, or the first of the upper one: what touches the folio that loses a part.
    CHECK(world.p2m.set_range(Gfn{0}, upper_is_there ? lower.mfn() + k_2m : upper.mfn(), k_2m, Type::ram_rw));
    CHECK(world.p2m.lookup(Gfn{0}).order == k_order_2m);
    CHECK(world.check() == "");
  }
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 3);
  auto [lower, upper] = neighbours(world);
  REQUIRE(world.p2m.set_range(Gfn{0}, lower.mfn(), 2 * k_2m, Type::ram_rw));
  lower.reset();
  CHECK(world.p2m.set_range(Gfn{0}, upper.mfn() + k_2m, k_2m, Type::ram_rw));
  CHECK(world.check() == "");
}

TEST_CASE("P5: a folio that cuts itself is planned in single frames") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 7);
  mm::Folio moved = folio_of(world, Order{10});
  const Mfn mfn = moved.mfn();
  // At gfn 519 to 1542. It is to be at 1536 to 2559, and loses its last seven frames for that.
  REQUIRE(world.p2m.set_range(Gfn{k_2m + 7}, mfn, 2 * k_2m, Type::ram_rw));
  moved.reset();
  static_cast<void>(world.mapped_folio(Gfn{2560}, k_order_2m));
  REQUIRE(world.p2m.statistics().tables.used == 6);
  const auto fill = world.p2m.set_hole(Gfn{u64{1} << 27}, 1, Type::pod);  // wants three more
  REQUIRE(fill.error() == Error::no_table_memory);
  REQUIRE(world.p2m.change_type(Gfn{2560}, 1, Type::ram_rw, Type::ram_ro));  // the last table
  const model::StoreLog log;
  CHECK(world.p2m.set_range(Gfn{1536}, mfn, 2 * k_2m, Type::ram_rw).error() == Error::no_table_memory);
  CHECK(log.stores().empty());
  CHECK(world.check() == "");
}

TEST_CASE("P5: a gigabyte that cuts itself is planned in single frames, all 512 tables of it") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 7);
  mm::Folio below = folio_of(world, k_order_1g), moved = folio_of(world, k_order_1g);
  if (moved.mfn() < below.mfn()) std::swap(below, moved);
  REQUIRE(moved.mfn() == below.mfn() + k_1g);
  const Mfn mfn = moved.mfn();
  REQUIRE(world.p2m.set_range(Gfn{k_1g + k_2m}, mfn, k_1g, Type::ram_rw));  // leaves of 2M
  moved.reset();
  for (const u64 at : {2 * k_1g - k_2m, 2 * k_1g}) REQUIRE(world.p2m.change_type(Gfn{at}, 1, Type::ram_rw, Type::ram_ro));
  while (world.p2m.statistics().tables.used < world.p2m.statistics().tables.reserved) {
    REQUIRE(world.p2m.change_type(Gfn{k_1g + k_2m * world.p2m.statistics().tables.used}, 1, Type::ram_rw, Type::ram_ro));
  }
  const model::StoreLog log;
  CHECK(world.p2m.set_range(Gfn{2 * k_1g - 1}, mfn - 1, k_1g + 1, Type::ram_rw).error() == Error::no_table_memory);
  CHECK(log.stores().empty());
  CHECK(world.check() == "");
}

TEST_CASE("P11: when the second part of a range is freed in the middle of the operation, the first keeps no reference") {
  int failures = 0;
  for (int moment = 0;; ++moment) {
    World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
    auto [first, second] = neighbours(world);
    const Mfn mfn = first.mfn();
    int now = 0;
    world.simulated.on_map = [&](Mfn) {
      if (now++ == moment) second.reset();
    };
    const Result<void> done = world.p2m.set_range(Gfn{0}, mfn, 4 * k_2m, Type::ram_rw);
    world.simulated.on_map = nullptr;
    INFO("moment " << moment << " of " << now);
    if (!done) {
      ++failures;
      CHECK(world.machine.folio_at(mfn)->references == 1);
      CHECK(world.p2m.lookup(Gfn{0}).type == Type::invalid);
    }
    REQUIRE(world.check() == "");
    if (now <= moment) break;
  }
  CHECK(failures > 1);
}

TEST_CASE("P5: an operation that fails half-way leaves the holes at its ends as large as they were") {
  int failures = 0;
  for (int moment = 0;; ++moment) {
    World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
    const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
    mm::Folio pin;
    int now = 0;
    world.simulated.on_map = [&](Mfn) {
      if (now++ != moment) return;
      if (auto reference = world.machine.reference(mfn, k_order_4k, World::k_domain, mm::FrameKind::guest)) pin = std::move(*reference);
    };
    const Result<void> done = world.p2m.unmap_range(Gfn{500}, 30);
    world.simulated.on_map = nullptr;
    INFO("moment " << moment << " of " << now);
    if (!done) {
      ++failures;
      CHECK(world.p2m.lookup(Gfn{530}).order == k_order_2m);
      CHECK(world.p2m.lookup(Gfn{500}).mfn == mfn + 500);
    }
    pin.reset();
    REQUIRE(world.check() == "");
    if (now <= moment) break;
  }
  CHECK(failures > 1);
}

TEST_CASE("P5: device memory is mapped in the largest leaves and may end where RAM begins, and what is RAM is no device's") {
  Machine world(GENERATE(Paging::npt, Paging::ept));
  const Mfn ram{(65 * k_mib) >> k_page_shift};
  CHECK(world.p2m.set(Gfn{0}, ram - 1, k_order_4k, Type::mmio_direct));
  CHECK(world.p2m.set(Gfn{1}, ram, k_order_4k, Type::mmio_direct).error() == Error::not_owner);
  CHECK(world.p2m.set(Gfn{k_2m}, ram - 768, k_order_2m, Type::mmio_direct));
  CHECK(world.p2m.audit().clean());
}

TEST_CASE("P5: RAM is refused to a device for being RAM, whatever folios it lies in, and what is no folio is refused as such") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  std::vector<mm::Folio> frames;
  while (frames.empty() || !frames.back().mfn().is_aligned(k_order_2m)) frames.push_back(folio_of(world, k_order_4k));
  CHECK(world.p2m.set(Gfn{0}, frames.back().mfn(), k_order_2m, Type::mmio_direct).error() == Error::not_owner);
  CHECK(world.p2m.set(Gfn{0}, frames.back().mfn(), k_order_2m, Type::ram_rw).error() == Error::not_found);
  const Mfn outside{k_bytes >> k_page_shift};
  CHECK(world.p2m.set(Gfn{0}, outside, k_order_2m, Type::ram_rw).error() == Error::not_found);
  CHECK(world.p2m.set(world.p2m.limit(), outside, k_order_2m, Type::ram_rw).error() == Error::out_of_range);
}

TEST_CASE("P11: a hole is no mapping of machine frame zero, and a leaf of it leaves nothing behind") {
  Machine world(GENERATE(Paging::npt, Paging::ept));
  auto folio = world.machine.allocate(Order{10}, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  REQUIRE(folio->mfn() == Mfn{0});
  REQUIRE(world.p2m.set_range(Gfn{k_2m}, Mfn{k_2m}, k_2m, Type::ram_rw));
  folio->reset();
  CHECK(world.p2m.unmap_range(Gfn{k_2m + 100}, 1));  // the frames below it are in no table
  CHECK(world.p2m.audit().clean());
  REQUIRE(world.p2m.unmap_range(Gfn{0}, 2 * k_2m));
  auto zero = world.machine.allocate(Order{10}, World::k_domain, mm::FrameKind::guest);
  REQUIRE(zero);
  REQUIRE(zero->mfn() == Mfn{0});
  REQUIRE(world.p2m.set(Gfn{7}, Mfn{0}, k_order_4k, Type::ram_rw));
  zero->reset();
  world.p2m.mark_written(Gfn{7}, 1);
  REQUIRE(world.p2m.set_hole(Gfn{7}, 1, Type::pod));
  CHECK(world.p2m.audit().clean());
  CHECK(world.p2m.lookup(Gfn{7}).type == Type::pod);
}

TEST_CASE("D5: memory that replaces other memory is neither accessed nor dirty nor written") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  REQUIRE(world.tlb0.access(world.root(), 0, true));
  world.p2m.mark_written(Gfn{0}, 1);
  REQUIRE(world.p2m.lookup(Gfn{0}).written);
  const mm::Folio other = folio_of(world, k_order_4k);
  REQUIRE(world.p2m.set(Gfn{0}, other.mfn(), k_order_4k, Type::ram_rw));
  const p2m::Translation there = world.p2m.lookup(Gfn{0});
  CHECK_FALSE((there.accessed || there.dirty || there.written));
}

TEST_CASE("D5: a promotion remembers one leaf of 512 that was written, wherever it is") {
  for (const u64 at : {u64{0}, u64{3}, u64{511}}) {
    World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
    static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
    REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_ro));
    REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_ro, Type::ram_rw));
    world.p2m.mark_written(Gfn{at}, 1);
    REQUIRE_FALSE(world.p2m.lookup(Gfn{at ^ 1}).written);
    REQUIRE(world.p2m.promote(Gfn{0}, k_order_2m));
    CHECK(world.p2m.lookup(Gfn{5}).written);
  }
}

TEST_CASE("P15: unmapping in steps takes a whole gigabyte at once, without a table, and from its middle only a leaf table at a time") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 2);
  const Mfn mfn = world.mapped_folio(Gfn{k_1g}, k_order_1g);
  Gfn gfn{k_1g};
  u64 count = k_1g;
  SECTION("whole") {
    CHECK(world.p2m.set_hole_some(gfn, count, Type::pod, 1));
    CHECK(count == 0);
    CHECK(world.p2m.lookup(Gfn{k_1g}).order == k_order_1g);
  }
  SECTION("from the middle") {
    REQUIRE(world.p2m.reserve_tables(8));
    gfn += k_2m;
    CHECK(world.p2m.set_hole_some(gfn, count, Type::pod, 1).error() == Error::again);
    CHECK(gfn == Gfn{k_1g + 2 * k_2m});
    CHECK(count == k_1g - k_2m);
    CHECK(world.p2m.lookup(Gfn{k_1g}).mfn == mfn);
    CHECK(world.p2m.lookup(gfn).mfn == mfn + 2 * k_2m);
  }
  CHECK(world.check() == "");
}

TEST_CASE("P7: a table that taking out has emptied is freed when its hole is made again") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{3}, k_order_4k));
  REQUIRE(world.p2m.take_out(Gfn{3}, k_order_4k, Type::invalid));
  REQUIRE(world.p2m.unmap_range(Gfn{3}, 1));
  CHECK(world.p2m.statistics().tables.used == 1);
  CHECK(world.check() == "");
}

TEST_CASE("P7: what a frame's record said before it was memory makes no table of it") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
  {
    const mm::Mapping<u64> memory(mfn);
    for (u64& word : memory.span()) word = ~u64{0};
  }
  world.machine.table().find(mfn)->previous = (512u << 10) | 512u;  // as a full table has it
  const model::StoreLog log;
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_found);
  CHECK(log.stores().empty());
  world.p2m.look_again();
  CHECK(world.p2m.next_candidate(~u64{0}).error() == Error::not_found);
}

TEST_CASE("P7: 512 leaves of a device or of nothing that is memory are not found, not misaligned") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.p2m.set(Gfn{i}, Mfn{(u64{1} << 30) + i}, k_order_4k, Type::mmio_direct));
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.p2m.set_hole(Gfn{k_2m + i}, 1, Type::mmio_emulated));
  for (const u64 at : {u64{0}, k_2m}) {
    REQUIRE(world.p2m.lookup(Gfn{at}).order == k_order_4k);
    CHECK(world.p2m.promote(Gfn{at}, k_order_2m).error() == Error::not_found);
  }
}

TEST_CASE("P7: a table that holds the ends of folios whose beginnings are mapped elsewhere is not moved") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  constexpr u64 k_frames = 1024;
  mm::Folio whole = folio_of(world, Order{10});
  const Mfn mfn = whole.mfn();
  auto references = world.machine.reference(mfn, Order{10}, World::k_domain, mm::FrameKind::guest);
  REQUIRE(references);
  static_cast<void>(std::move(*references).keep());
  whole.reset();
  for (u64 at = 0; at < k_frames; at += 2) {
    REQUIRE(world.machine.carve(mfn + at, Order{1}, World::k_domain, [](Mfn, u64 frames) { return frames; }));
  }
  REQUIRE(world.p2m.set_range(Gfn{k_2m - 1}, mfn, k_2m + 2, Type::ram_rw));  // the table for gfn 512 begins with the second frame of a pair
  for (u64 at = 0; at < k_frames; ++at) mm::Folio(world.machine, mfn + at, k_order_4k).reset();
  REQUIRE(world.machine.folio_at(mfn + 1)->references == 2);
  mm::Folio target = folio_of(world, k_order_2m);
  CHECK(world.p2m.begin_move(Gfn{k_2m}, k_order_2m, target).error() == Error::busy);
  CHECK(target);
  CHECK(world.check() == "");
}

TEST_CASE("P7: a table that holds only a part of a folio is not moved") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  mm::Folio pair = folio_of(world, Order{1});
  REQUIRE(world.p2m.set(Gfn{0}, pair.mfn(), k_order_4k, Type::ram_rw));
  REQUIRE(world.p2m.set(Gfn{4 * k_2m}, pair.mfn() + 1, k_order_4k, Type::ram_rw));  // its other frame is elsewhere
  pair.reset();
  for (u64 i = 1; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i}, k_order_4k));
  mm::Folio target = folio_of(world, k_order_2m);
  CHECK(world.p2m.begin_move(Gfn{0}, k_order_2m, target).error() == Error::busy);
  CHECK(target);
  CHECK(world.check() == "");
}

TEST_CASE("P7: a frame that is pinned while the table is being unlinked keeps the move from beginning, and the table is back") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i ^ 1}, k_order_4k));
  const Mfn mfn = world.p2m.lookup(Gfn{9}).mfn;
  mm::Folio target = folio_of(world, k_order_2m), pin;
  world.simulated.on_flush.push_back([&](arch::TlbTag, u64) {
    if (pin) return;
    if (auto reference = world.machine.reference(mfn, k_order_4k, World::k_domain, mm::FrameKind::guest)) pin = std::move(*reference);
  });
  CHECK(world.p2m.begin_move(Gfn{0}, k_order_2m, target).error() == Error::busy);
  world.simulated.on_flush.pop_back();
  REQUIRE(pin);
  CHECK(target);
  CHECK(world.p2m.frames_in_transit() == 0);
  CHECK(world.p2m.lookup(Gfn{9}).mfn == mfn);
  CHECK(world.machine.folio_at(target.mfn())->references == 1);
  CHECK(world.check() == "");
}

TEST_CASE("P15: what is torn down in the middle of a move returns everything") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{i ^ 1}, k_order_4k));
  mm::Folio target = folio_of(world, k_order_2m);
  REQUIRE(world.p2m.begin_move(Gfn{0}, k_order_2m, target));
  REQUIRE(world.p2m.continue_move(5).error() == Error::again);
  world.p2m.destroy();
  CHECK(world.machine.statistics().free_frames() == world.free_at_start);
}

TEST_CASE("P15: a p2m that is made again is torn down in steps as short as the first time, and cannot be made before it is gone") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  p2m::P2m p2m;
  const p2m::Configuration configuration{.domain = DomainId{9}, .table_frames = 100};
  for (int round = 0; round < 2; ++round) {
    REQUIRE(p2m.initialize(world.machine, configuration));
    for (u64 i = 0; i < 20; ++i) REQUIRE(p2m::populate_ram(p2m, world.machine, Gfn{i * k_1g}, 1));
    u64 most = 0;
    for (bool done = false; !done;) {
      const model::Work before = model::work;
      done = p2m.destroy_some(1);
      most = std::max(most, (model::work - before).steps());
      if (!done) CHECK(p2m.initialize(world.machine, configuration).error() == Error::invalid_argument);
    }
    CHECK(most <= 2 * 3 * 513);
  }
  CHECK(p2m.statistics().tables.reserved == 0);
}

TEST_CASE("P12: taking away what was never mapped flushes nothing") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  for (const u64 at : {k_1g, 3 * k_1g}) REQUIRE(world.p2m.set_hole(Gfn{at}, k_1g, Type::pod));
  while (world.p2m.lookup(Gfn{k_1g}).type == Type::pod) REQUIRE_FALSE(world.p2m.destroy_some(1));
  REQUIRE(world.p2m.lookup(Gfn{3 * k_1g}).type == Type::pod);
  CHECK(world.simulated.flushes == 0);
}

TEST_CASE("P8: rights that are given, and a type that all has already, need no flush") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k, Type::ram_ro));
  REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_ro, Type::ram_rw));
  CHECK(world.simulated.flushes == 0);
  REQUIRE(world.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::ram_rw, Type::log_dirty));
  CHECK(world.simulated.flushes == 1);
  REQUIRE(world.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::ram_rw, Type::log_dirty));
  CHECK(world.simulated.flushes == 1);
}

TEST_CASE("P2: what is no type follows none") {
  for (unsigned to = static_cast<unsigned>(Type::count_); to < 256; ++to) {
    REQUIRE_FALSE(p2m::is_legal_transition(Type::invalid, static_cast<Type>(to)));
    REQUIRE_FALSE(p2m::is_legal_transition(static_cast<Type>(to), Type::invalid));
  }
}

TEST_CASE("P4: a format whose fields share a bit is told from one whose fields do not") {
  for (const p2m::Format& format : {p2m::k_npt, p2m::k_ept}) {
    CHECK(format.fields_are_disjoint());
    p2m::Format wrong = format;
    wrong.dirty = wrong.accessed;
    CHECK_FALSE(wrong.fields_are_disjoint());
    wrong = format;
    wrong.execute = wrong.read;
    CHECK_FALSE(wrong.fields_are_disjoint());
  }
}

TEST_CASE("P16: the frames of memory by the level of their leaves") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  static_cast<void>(world.mapped_folio(Gfn{1}, k_order_4k, Type::ram_ro));
  static_cast<void>(world.mapped_folio(Gfn{k_2m}, k_order_2m));
  REQUIRE(world.p2m.set_hole(Gfn{2 * k_2m}, k_2m, Type::pod));
  const p2m::Statistics statistics = world.p2m.statistics();
  CHECK(statistics.memory_frames(0) == 2);
  CHECK(statistics.memory_frames(1) == k_2m);
  CHECK(statistics.memory_frames(2) == 0);
}

TEST_CASE("F7: a range without frames needs no table") {
  for (const u64 first : {u64{0}, u64{5} << 27}) {
    const p2m::FrameRange ranges[] = {{Gfn{first}, 0}};
    CHECK(p2m::table_frames_for(ranges) == 1);
  }
}

TEST_CASE("P5: memory that the machine has in smaller pieces only backs the range in these") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{2} << 30, 600);
  const mm::Folio held = folio_of(world, k_order_1g);  // the other gigabyte is broken by the frame table
  REQUIRE_FALSE(world.machine.can_allocate(k_order_1g));
  p2m::Population population(Gfn{0}, k_1g);
  u64 budget = 100;
  REQUIRE(population.some(world.p2m, world.machine, budget).error() == Error::again);
  CHECK(population.done() == 100 * k_2m);
  CHECK(budget == 0);
  CHECK(population.backing().asked[2] == 1);
  CHECK(population.backing().backed[1] == 100);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_2m);
}

TEST_CASE("P15: a gigabyte that has to be zeroed comes in pieces, and stays a gigabyte") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 600);
  std::vector<mm::Folio> dirty;
  while (world.machine.can_allocate(k_order_1g)) dirty.push_back(folio_of(world, k_order_1g));
  dirty.clear();
  p2m::Population population(Gfn{0}, k_1g);
  u64 pieces = 0;
  for (;; ++pieces) {
    u64 budget = 16 * k_2m;
    const Result<void> done = population.some(world.p2m, world.machine, budget);
    if (done) break;
    REQUIRE(done.error() == Error::again);
    REQUIRE(pieces < 100);
  }
  CHECK(pieces > 10);
  CHECK(population.backing().backed[2] == 1);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_1g);
}
