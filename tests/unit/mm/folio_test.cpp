// SPDX-License-Identifier: Apache-2.0
// What may happen to a folio (F3), and what must not.
#include "mm/machine.hpp"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "mm/table_pool.hpp"
#include "tests/model/machine.hpp"

using namespace octavo;
using mm::FrameKind;

namespace {
constexpr u64 k_mib = u64{1} << 20;
constexpr DomainId k_domain{7};
constexpr DomainId k_other{8};

struct FolioWorld {
  explicit FolioWorld(u64 bytes = 64 * k_mib) : simulated(bytes) {
    const arch::MemoryRange ram[] = {{Hpa{0}, bytes}};
    REQUIRE(machine.initialize(ram, ram, mm::Contents::zero));
    free_at_start = machine.statistics().free_frames();
  }
  [[nodiscard]] mm::Folio allocate(Order order, DomainId owner = k_domain, FrameKind kind = FrameKind::guest) {
    auto folio = machine.allocate(order, owner, kind);
    REQUIRE(folio);
    return std::move(*folio);
  }
  /// A folio with a reference for each frame, as a leaf over it has.
  [[nodiscard]] mm::Folio mapped(Order order) {
    const mm::Folio folio = allocate(order);
    auto references = machine.reference(folio.mfn(), order, k_domain, FrameKind::guest);
    REQUIRE(references);
    return std::move(*references);
  }
  u64 frames(FrameKind kind) const { return machine.statistics().frames[static_cast<usize>(kind)]; }

  model::SimulatedMachine simulated;
  mm::Machine machine;
  u64 free_at_start = 0;
};

const auto k_one_each = [](Mfn, u64 frames) { return frames; };
}  // namespace

TEST_CASE("F3: a handle that is moved holds its references once") {
  FolioWorld world;
  mm::Folio first = world.allocate(k_order_4k);
  mm::Folio second = world.allocate(k_order_4k);
  const Mfn mfn = first.mfn();
  second = std::move(first);
  CHECK_FALSE(first);
  CHECK(second.mfn() == mfn);
  CHECK(world.frames(FrameKind::guest) == 1);
  second.reset();
  second.reset();
  CHECK(world.frames(FrameKind::guest) == 0);
  CHECK(world.machine.statistics().free_frames() == world.free_at_start);
}

TEST_CASE("F2: what is larger than the largest order is refused, and what is not there is out of memory") {
  FolioWorld world;
  CHECK(world.machine.allocate(Order{19}, k_domain, FrameKind::guest).error() == Error::invalid_argument);
  CHECK(world.machine.allocate(k_order_1g, k_domain, FrameKind::guest).error() == Error::out_of_memory);
  const mm::Folio folio = world.allocate(k_order_2m);
  CHECK(world.machine.reference(folio.mfn(), Order{19}, k_domain, FrameKind::guest).error() == Error::not_found);
}

TEST_CASE("F4: memory that is known to be clean is handed out without being zeroed again, and dirty memory where zeroes are not asked for") {
  FolioWorld world;
  { const mm::Folio written = world.allocate(k_order_4k); }
  REQUIRE(world.frames(FrameKind::free_dirty) > 0);
  int mapped = 0;
  world.simulated.on_map = [&](Mfn) { ++mapped; };
  const auto any = world.machine.allocate(k_order_4k, k_domain, FrameKind::guest, mm::Contents::any);
  REQUIRE(any);
  CHECK(mapped == 0);
  const mm::Folio clean = world.allocate(Order{8});
  CHECK(mapped == 0);
}

TEST_CASE("F3: more references than there are cannot be dropped") {
  FolioWorld world;
  const mm::Folio folio = world.allocate(k_order_2m);
  CHECK_THROWS_AS(mm::Folio(world.machine, folio.mfn() + 1, k_order_4k, 2).reset(), model::Panic);
  CHECK(world.machine.folio_at(folio.mfn())->references == 1);
  CHECK_THROWS_AS(mm::Folio(world.machine, Mfn{u64{1} << 30}, k_order_4k).reset(), model::Panic);
}

TEST_CASE("F3: carving refuses what it cannot do") {
  FolioWorld world;
  const mm::Folio folio = world.mapped(Order{4});
  const Mfn mfn = folio.mfn();
  CHECK(world.machine.carve(Mfn{u64{1} << 30}, k_order_4k, k_domain, k_one_each).error() == Error::not_found);
  CHECK(world.machine.carve(mfn, k_order_4k, k_other, k_one_each).error() == Error::not_owner);
  CHECK(world.machine.carve(mfn, k_order_4k, k_domain, [](Mfn, u64) { return u64{15}; }).error() == Error::busy);
  for (const unsigned order : {4u, 5u}) CHECK(world.machine.carve(mfn, Order{order}, k_domain, k_one_each));
  CHECK(world.machine.folio_at(mfn + 15)->head == mfn);
  CHECK(world.machine.folio_at(mfn)->references == 16);
}

TEST_CASE("F3: a reference that comes between the count and the carving makes it busy") {
  FolioWorld world;
  const mm::Folio folio = world.mapped(Order{4});
  std::vector<mm::Folio> late;
  const auto counted = [&](Mfn, u64 frames) {
    if (late.empty()) late.push_back(*world.machine.reference(folio.mfn(), k_order_4k, k_domain, FrameKind::guest));
    return frames;
  };
  CHECK(world.machine.carve(folio.mfn(), k_order_4k, k_domain, counted).error() == Error::busy);
  CHECK(world.machine.folio_at(folio.mfn())->order == Order{4});
  CHECK(world.machine.folio_at(folio.mfn())->references == 17);
}

TEST_CASE("F3: while a folio is being carved nobody can take a reference") {
  FolioWorld world;
  const Mfn mfn = world.mapped(Order{4}).keep();
  int asked = 0;
  const auto counted = [&](Mfn, u64 frames) {
    if (asked++ == 1) CHECK(world.machine.reference(mfn, k_order_4k, k_domain, FrameKind::guest).error() == Error::busy);
    return frames;
  };
  REQUIRE(world.machine.carve(mfn, Order{3}, k_domain, counted));
  CHECK(asked > 1);
  for (u64 i = 0; i < 16; i += 8) CHECK(world.machine.folio_at(mfn + i)->references == 8);
}

TEST_CASE("F3: what nothing refers to after a carving is free at once") {
  FolioWorld world;
  mm::Folio folio = world.mapped(Order{4});
  const Mfn head = folio.mfn();
  mm::Folio(world.machine, head, k_order_4k, 12).reset();  // four are left, and they are the last four frames'
  static_cast<void>(std::move(folio).keep());
  REQUIRE(world.machine.carve(head, Order{2}, k_domain, [&](Mfn mfn, u64 frames) { return mfn + frames == head + 16 ? std::min<u64>(frames, 4) : 0; }));
  CHECK(world.frames(FrameKind::guest) == 8);  // the upper half stays as a whole
  CHECK(world.machine.folio_at(head + 8)->references == 4);
  CHECK(world.machine.statistics().free_frames() == world.free_at_start - 8);
}

TEST_CASE("F3: joining takes what is the owner's memory and referred to once for each frame, and leaves all else as it was") {
  FolioWorld world;
  const auto cut = [&](Order order, Order part) {
    mm::Folio folio = world.mapped(order);
    for (u64 at = 0; at < order.frames(); at += part.frames()) REQUIRE(world.machine.carve(folio.mfn() + at, part, k_domain, k_one_each));
    return std::move(folio).keep();
  };
  const auto unchanged = [&](Mfn first) {
    for (u64 at = 0; at < 16; at += 4) {
      const auto folio = world.machine.folio_at(first + at);
      if (!folio || folio->head != first + at || folio->order != Order{2} || folio->references != 4) return false;
    }
    return true;
  };
  const Mfn first = cut(Order{4}, Order{2});
  REQUIRE(unchanged(first));
  CHECK(world.machine.join(first + 4, Order{4}, k_domain).error() == Error::misaligned);
  CHECK(world.machine.join(Mfn{0}, Order{19}, k_domain).error() == Error::misaligned);
  CHECK(world.machine.join(first, Order{4}, k_other).error() == Error::busy);
  CHECK(unchanged(first));
  {
    const auto pin = world.machine.reference(first + 9, k_order_4k, k_domain, FrameKind::guest);
    REQUIRE(pin);
    CHECK(world.machine.join(first, Order{4}, k_domain).error() == Error::busy);
  }
  CHECK(unchanged(first));
  REQUIRE(world.machine.join(first, Order{4}, k_domain));
  CHECK(world.machine.folio_at(first + 15)->head == first);
  CHECK(world.machine.folio_at(first)->references == 16);
  CHECK(world.machine.folio_at(first)->order == Order{4});
  // Within one folio there is nothing to do, whoever else refers to it.
  const auto pin = world.machine.reference(first, k_order_4k, k_domain, FrameKind::guest);
  REQUIRE(pin);
  CHECK(world.machine.join(first, Order{4}, k_domain));
  CHECK(world.machine.join(first + 8, Order{3}, k_domain));
  CHECK(world.machine.join(first, Order{4}, k_other).error() == Error::busy);
  CHECK(world.machine.folio_at(first)->references == 17);
}

TEST_CASE("F3: joining stops at free frames, at another kind, and at another's memory") {
  struct Row {
    DomainId owner;
    FrameKind kind;
  };
  for (const Row& row : {Row{k_other, FrameKind::guest}, Row{k_domain, FrameKind::table}}) {
    FolioWorld world;
    const Mfn first = world.mapped(Order{1}).keep();
    REQUIRE(world.machine.carve(first, k_order_4k, k_domain, k_one_each));
    mm::Folio(world.machine, first + 1, k_order_4k).reset();
    CHECK(world.machine.join(first, Order{1}, k_domain).error() == Error::busy);
    CHECK(world.machine.folio_at(first)->references == 1);
    const mm::Folio neighbour = world.allocate(k_order_4k, row.owner, row.kind);
    REQUIRE(neighbour.mfn() == first + 1);
    CHECK(world.machine.join(first, Order{1}, k_domain).error() == Error::busy);
    CHECK(world.machine.folio_at(first)->references == 1);
    CHECK(world.machine.folio_at(first + 1)->head == first + 1);
  }
}

TEST_CASE("F3: only who holds all of a folio can convert it") {
  FolioWorld world;
  mm::Folio folio = world.allocate(Order{2});
  const Mfn mfn = folio.mfn();
  {
    const auto pin = world.machine.reference(mfn + 1, k_order_4k, k_domain, FrameKind::guest);
    REQUIRE(pin);
    CHECK(world.machine.convert(folio, FrameKind::pod_cache).error() == Error::busy);
    CHECK_FALSE(world.machine.is_exclusive(folio));
    auto part = world.machine.reference(mfn, Order{1}, k_domain, FrameKind::guest);
    REQUIRE(part);
    CHECK(world.machine.convert(*part, FrameKind::pod_cache).error() == Error::misaligned);
    CHECK_FALSE(world.machine.is_exclusive(*part));
  }
  CHECK(world.machine.is_exclusive(folio));
  REQUIRE(world.machine.convert(folio, FrameKind::pod_cache));
  CHECK(world.frames(FrameKind::guest) == 0);
  CHECK(world.frames(FrameKind::pod_cache) == 4);
  CHECK(world.machine.folio_at(mfn)->owner == k_domain);
  mm::Folio nobody(world.machine, Mfn{u64{1} << 30}, k_order_4k);
  CHECK(world.machine.convert(nobody, FrameKind::guest).error() == Error::not_found);
  CHECK_FALSE(world.machine.is_exclusive(nobody));
  static_cast<void>(std::move(nobody).keep());
}

TEST_CASE("F3: a handle in the middle of a folio, or over less than it, does not hold it alone") {
  FolioWorld world;
  const mm::Folio folio = world.mapped(Order{2});  // four references
  mm::Folio middle(world.machine, folio.mfn() + 1, Order{2}, 4);
  CHECK_FALSE(world.machine.is_exclusive(middle));
  CHECK(world.machine.convert(middle, FrameKind::pod_cache).error() == Error::misaligned);
  mm::Folio smaller(world.machine, folio.mfn(), Order{1}, 4);
  CHECK_FALSE(world.machine.is_exclusive(smaller));
  CHECK(world.machine.convert(smaller, FrameKind::pod_cache).error() == Error::misaligned);
  CHECK(world.machine.is_exclusive(folio));
  static_cast<void>(std::move(middle).keep());
  static_cast<void>(std::move(smaller).keep());
}

TEST_CASE("F2: what was used merges with the clean memory beside it again") {
  FolioWorld world;
  const auto blocks = world.machine.statistics().free_blocks;
  {
    const mm::Folio one = world.allocate(k_order_4k);
    const mm::Folio two = world.allocate(Order{5});
    CHECK(world.machine.statistics().free_blocks != blocks);
  }
  CHECK(world.machine.statistics().free_blocks == blocks);
}

TEST_CASE("F2: the frame table goes where it breaks nothing: another range, or the other end") {
  constexpr u64 k_gib = u64{1} << 30;
  const auto range = [](u64 base, u64 end) { return arch::MemoryRange{Hpa{base}, end - base}; };
  const std::vector<arch::MemoryRange> maps[] = {{range(k_gib, 3 * k_gib), range(4 * k_gib + k_mib, 4 * k_gib + 200 * k_mib)},
                                                 {range(k_gib, 3 * k_gib + 64 * k_mib)},
                                                 {range(k_gib - 64 * k_mib, 3 * k_gib)},
                                                 {range(0, k_mib), range(k_gib, 3 * k_gib + 64 * k_mib)}};
  for (const auto& map : maps) {
    model::SimulatedMachine simulated(8 * k_gib);
    mm::Machine machine;
    REQUIRE(machine.initialize(map, map));
    const auto statistics = machine.statistics();
    CHECK(statistics.free_blocks[18] == 2);
    u64 frames = 0;
    for (const auto& ram : map) frames += ram.size >> k_page_shift;
    CHECK(statistics.total_frames + statistics.table_frames == frames);
    CHECK(statistics.free_frames() == statistics.total_frames);
  }
}

TEST_CASE("F2: a range that is as large as the table is enough for it, one that is smaller is not") {
  const auto range = [](u64 base, u64 end) { return arch::MemoryRange{Hpa{base}, end - base}; };
  model::SimulatedMachine simulated(64 * k_mib);
  const std::vector<arch::MemoryRange> ram{range(0, 64 * k_mib)};  // 16384 frames: 64 frames of table
  for (const u64 frames : {u64{63}, u64{64}}) {
    mm::Machine machine;
    const std::vector<arch::MemoryRange> free{range(k_mib, k_mib + frames * k_page_size)};
    const Result<void> done = machine.initialize(ram, free);
    CHECK(done.has_value() == (frames == 64));
    if (!done) CHECK(done.error() == Error::out_of_memory);
    else CHECK(machine.statistics().total_frames == 0);
  }
}

TEST_CASE("F2: memory is donated in the largest runs that its ends permit, and only what is RAM and nobody's") {
  model::SimulatedMachine simulated(128 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {{Hpa{0}, 32 * k_mib}, {Hpa{64 * k_mib}, 32 * k_mib}};
  const arch::MemoryRange free[] = {{Hpa{0}, k_mib}};
  REQUIRE(machine.initialize(ram, free));
  REQUIRE(machine.donate(Mfn{0x1001}, 0x7FF));  // 1, 2, 4 ... 1024 frames, each once
  const auto blocks = machine.statistics().free_blocks;
  for (unsigned order = 0; order <= 10; ++order) CHECK(machine.folio_at(Mfn{0x1000 + (u64{1} << order)})->order == Order{order});
  CHECK(blocks[11] == 0);
  CHECK(machine.donate(Mfn{0x1FFF}, 2).error() == Error::out_of_range);  // its second frame is no RAM
  CHECK(machine.donate(Mfn{0x3FFF}, 1).error() == Error::out_of_range);
}

TEST_CASE("F3: a count takes references up to its very limit") {
  FolioWorld world;
  mm::Folio folio = world.allocate(Order{1});
  const Mfn mfn = folio.mfn();
  std::vector<mm::Folio> held;
  while (world.machine.folio_at(mfn)->references < mm::FrameState::k_max_references) {
    auto more = world.machine.reference(mfn, k_order_4k, k_domain, FrameKind::guest);
    if (!more) break;
    held.push_back(std::move(*more));
  }
  CHECK(world.machine.folio_at(mfn)->references == mm::FrameState::k_max_references);
  CHECK(world.machine.reference(mfn, k_order_4k, k_domain, FrameKind::guest).error() == Error::overflow);
}

TEST_CASE("F2: the table may begin where one range ends and the next begins") {
  model::SimulatedMachine simulated{64 * k_mib};
  const arch::MemoryRange ram[] = {{Hpa{0}, 64 * k_mib}};
  const arch::MemoryRange free[] = {{Hpa{k_mib}, 65536}, {Hpa{k_mib + 65536}, 63 * k_mib - 65536}};
  mm::Machine machine;
  REQUIRE(machine.initialize(ram, free, mm::Contents::zero));
  CHECK_FALSE(machine.folio_at(Mfn{(k_mib + 65536) >> k_page_shift}));  // the table's own
  CHECK(machine.statistics().total_frames + machine.statistics().table_frames == (63 * k_mib) >> k_page_shift);
}

TEST_CASE("F3: joining leaves the folio behind the run alone, and no folio is none of one's own") {
  FolioWorld world;
  const Mfn first = world.mapped(Order{5}).keep();
  for (u64 at = 0; at < 32; at += 8) REQUIRE(world.machine.carve(first + at, Order{3}, k_domain, k_one_each));
  REQUIRE(world.machine.join(first, Order{4}, k_domain));
  CHECK(world.machine.folio_at(first + 15)->head == first);
  for (const u64 at : {u64{16}, u64{24}}) {
    REQUIRE(world.machine.folio_at(first + at));
    CHECK(world.machine.folio_at(first + at)->head == first + at);
    CHECK(world.machine.folio_at(first + at)->references == 8);
  }
  REQUIRE(world.machine.join(first, Order{4}, k_domain));
  CHECK(world.machine.join(Mfn{u64{1} << 30}, Order{4}, k_domain).error() == Error::busy);
}

TEST_CASE("F3: a folio that is of that size already needs no carving, whoever refers to it") {
  FolioWorld world;
  const mm::Folio folio = world.mapped(Order{4});
  const auto pin = world.machine.reference(folio.mfn(), k_order_4k, k_domain, FrameKind::guest);
  REQUIRE(pin);
  CHECK(world.machine.carve(folio.mfn() + 3, Order{4}, k_domain, k_one_each));
  CHECK(world.machine.folio_at(folio.mfn())->references == 17);
}

TEST_CASE("F2: a run of which only the end, or only the beginning, is RAM is not donated") {
  model::SimulatedMachine simulated(128 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {{Hpa{0}, 31 * k_mib}, {Hpa{65 * k_mib}, 31 * k_mib}};
  const arch::MemoryRange free[] = {{Hpa{0}, k_mib}};
  REQUIRE(machine.initialize(ram, free));
  const u64 total = machine.statistics().total_frames;
  CHECK(machine.donate(Mfn{(64 * k_mib) >> k_page_shift}, 512).error() == Error::out_of_range);
  CHECK(machine.donate(Mfn{(30 * k_mib) >> k_page_shift}, 512).error() == Error::out_of_range);
  CHECK(machine.statistics().total_frames == total);
  CHECK_FALSE(machine.folio_at(Mfn{(30 * k_mib) >> k_page_shift}));
}

TEST_CASE("F4: of a clean and a dirty run of one size the clean one serves who asks for zeroes, the dirty one who does not") {
  for (const mm::Contents contents : {mm::Contents::zero, mm::Contents::any}) {
    FolioWorld world;
    mm::Folio used = world.allocate(k_order_4k);
    const mm::Folio neighbour = world.allocate(k_order_4k), other = world.allocate(k_order_4k);
    const Mfn dirty = used.mfn();
    REQUIRE(neighbour.mfn().value() == (dirty.value() ^ 1));
    used.reset();
    REQUIRE(world.machine.statistics().free_blocks[0] == 2);
    REQUIRE(world.frames(FrameKind::free_dirty) == 1);
    const auto folio = world.machine.allocate(k_order_4k, k_domain, FrameKind::guest, contents);
    REQUIRE(folio);
    CHECK((folio->mfn() == dirty) == (contents == mm::Contents::any));
  }
}

TEST_CASE("F7: a table pool that goes away gives its frames back") {
  FolioWorld world;
  {
    mm::TablePool pool;
    REQUIRE(pool.reserve(world.machine, k_domain, 3));
    CHECK(world.machine.statistics().free_frames() == world.free_at_start - 3);
  }
  CHECK(world.machine.statistics().free_frames() == world.free_at_start);
}
