// SPDX-License-Identifier: Apache-2.0
#include "mm/machine.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "mm/gather.hpp"
#include "mm/mapping.hpp"
#include "tests/model/machine.hpp"

using namespace octavo;
using mm::FrameKind;

namespace {
constexpr u64 k_gib = u64{1} << 30;
constexpr u64 k_mib = u64{1} << 20;
constexpr DomainId k_domain{7};

arch::MemoryRange range(u64 base, u64 end) { return {Hpa{base}, end - base}; }
}  // namespace

TEST_CASE("F1: the fields of a frame's state do not share bits") {
  for (const u32 references : {0u, 1u, mm::FrameState::k_max_references}) {
    for (unsigned order = 0; order < mm::k_orders; ++order) {
      for (unsigned kind = 0; kind < mm::k_frame_kinds; ++kind) {
        for (const u16 owner : {u16{0}, u16{1}, u16{0xFFFF}}) {
          const mm::FrameState state(DomainId{owner}, static_cast<FrameKind>(kind), Order{order}, references);
          REQUIRE(state.references() == references);
          REQUIRE(state.order() == Order{order});
          REQUIRE(state.kind() == static_cast<FrameKind>(kind));
          REQUIRE(state.owner() == DomainId{owner});
          REQUIRE(state.types() == 0);
          REQUIRE(state.with_references(5).references() == 5);
          REQUIRE(state.with_references(5).with_references(references) == state);
        }
      }
    }
  }
}

TEST_CASE("F2: a PC's memory map is taken over, the table breaks no whole gigabyte") {
  model::SimulatedMachine simulated(6 * k_gib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 0x9F000), range(k_mib, 3 * k_gib - 64 * k_mib), range(4 * k_gib, 6 * k_gib)};
  const arch::MemoryRange free[] = {range(3 * k_mib, 3 * k_gib - 64 * k_mib), range(4 * k_gib, 6 * k_gib)};
  REQUIRE(machine.initialize(ram, free));
  const auto statistics = machine.statistics();
  CHECK(statistics.free_blocks[18] == 3);  // [1,2) [4,5) [5,6)
  CHECK(statistics.free_frames() == statistics.total_frames);
  CHECK(statistics.total_frames + statistics.table_frames == (free[0].size + free[1].size) >> k_page_shift);
  CHECK_FALSE(machine.folio_at(Mfn{0x100}));  // reserved: RAM, but nobody's folio
  CHECK_FALSE(machine.folio_at(Mfn{0xFFFFF}));
  CHECK(machine.donate(Mfn{0x200}, 0x100));   // boot modules come later
  CHECK(machine.donate(Mfn{0x200}, 1).error() == Error::exists);
  CHECK(machine.donate(Mfn{0xC0000}, 1).error() == Error::out_of_range);
}

TEST_CASE("F2: hostile memory maps are refused") {
  model::SimulatedMachine simulated(k_gib);
  const std::vector<std::vector<arch::MemoryRange>> maps = {
      {}, {range(0, 0)}, {range(k_mib, 2 * k_mib), range(k_mib, 3 * k_mib)}, {range(100, 8192)}, {range(0, 4097)}, {{Hpa{u64{1} << 51}, u64{1} << 52}}};
  for (const auto& map : maps) {
    mm::Machine machine;
    CHECK_FALSE(machine.initialize(map, map));
  }
}

TEST_CASE("F4: what is handed out is zero, whatever was written to it before") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 64 * k_mib)};
  REQUIRE(machine.initialize(ram, ram));
  const u64 before = machine.statistics().free_frames();
  for (int round = 0; round < 3; ++round) {
    std::vector<mm::Folio> folios;
    for (unsigned order = 0; order <= 10; ++order) {
      auto folio = machine.allocate(Order{order}, k_domain, FrameKind::guest);
      REQUIRE(folio);
      REQUIRE(folio->mfn().is_aligned(Order{order}));
      const mm::Mapping<u8> mapping(folio->mfn(), Order{order}.frames());
      for (u8& byte : mapping.span()) {
        if (byte != 0) FAIL("a frame is not zero");
        byte = 0xA5;
      }
      folios.push_back(std::move(*folio));
    }
  }
  CHECK(machine.statistics().free_frames() == before);
  CHECK(simulated.mapped_windows == 1);  // the frame table's own
}

TEST_CASE("F4: a written frame that merges with clean ones is zero again when the whole is handed out") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 64 * k_mib)};
  REQUIRE(machine.initialize(ram, ram, mm::Contents::zero));
  CHECK(machine.statistics().frames[static_cast<usize>(FrameKind::free_dirty)] == 0);
  std::vector<mm::Folio> written;  // scattered, so that written frames merge with clean buddies on either side
  for (int i = 0; i < 64; ++i) written.push_back(*machine.allocate(k_order_4k, k_domain, FrameKind::guest));
  for (usize i = 0; i < written.size(); ++i) {
    const mm::Mapping<u64> frame(written[i].mfn());
    frame[7] = i % 3 == 0 ? 1 : 0;
  }
  written.clear();
  CHECK(machine.statistics().frames[static_cast<usize>(FrameKind::free_dirty)] > 0);
  std::vector<mm::Folio> whole;
  while (true) {
    auto folio = machine.allocate(Order{4}, k_domain, FrameKind::guest);
    if (!folio) break;
    for (u64 i = 0; i < 16; ++i) {
      const mm::Mapping<const u64> frame(folio->mfn() + i);
      REQUIRE(frame[7] == 0);
    }
    whole.push_back(std::move(*folio));
  }
  CHECK(whole.size() > 900);
}

TEST_CASE("F4: clean memory that is donated beside dirty memory does not make it clean") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 64 * k_mib)};
  const arch::MemoryRange first[] = {range(0, 16 * k_mib), range(32 * k_mib, 48 * k_mib)};
  for (u64 mib = 32; mib < 48; ++mib) *simulated.at(Hpa{mib * k_mib + 5}) = 0xEE;
  REQUIRE(machine.initialize(ram, first));
  REQUIRE(machine.donate(Mfn{(48 * k_mib) >> k_page_shift}, (16 * k_mib) >> k_page_shift, mm::Contents::zero));
  REQUIRE(machine.folio_at(Mfn{(48 * k_mib) >> k_page_shift})->order == Order{13});  // one run with its dirty buddy
  std::vector<mm::Folio> all;
  for (unsigned order = 14; order-- > 0;) {
    while (auto folio = machine.allocate(Order{order}, k_domain, FrameKind::guest)) {
      for (u64 i = 0; i < folio->order().frames(); ++i) {
        if (*simulated.at(to_hpa(folio->mfn() + i) + 5) != 0) FAIL("a frame is not zero");
      }
      all.push_back(std::move(*folio));
    }
  }
  CHECK(machine.statistics().free_frames() == 0);
}

TEST_CASE("F3: ownership and limits of references") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 64 * k_mib)};
  REQUIRE(machine.initialize(ram, ram));
  auto folio = machine.allocate(k_order_2m, k_domain, FrameKind::guest);
  REQUIRE(folio);
  const Mfn mfn = folio->mfn();
  CHECK(machine.reference(mfn, k_order_4k, DomainId{8}, FrameKind::guest).error() == Error::not_owner);
  CHECK(machine.reference(mfn, k_order_4k, k_domain, FrameKind::table).error() == Error::not_found);
  CHECK(machine.reference(mfn + 1, k_order_2m, k_domain, FrameKind::guest).error() == Error::not_found);
  CHECK(machine.reference(Mfn{1 << 20}, k_order_4k, k_domain, FrameKind::guest).error() == Error::not_found);
  std::vector<mm::Folio> held;
  for (;;) {
    auto reference = machine.reference(mfn, k_order_2m, k_domain, FrameKind::guest);
    if (!reference) {
      CHECK(reference.error() == Error::overflow);
      break;
    }
    held.push_back(std::move(*reference));
  }
  CHECK(held.size() == (mm::FrameState::k_max_references - 1) / 512);
  CHECK(machine.carve(mfn, k_order_4k, k_domain, [](Mfn, u64) { return u64{0}; }).error() == Error::busy);
  held.clear();
  CHECK(machine.folio_at(mfn + 511)->references == 1);
  folio->reset();
  CHECK(machine.folio_at(mfn)->kind == FrameKind::free_dirty);
  CHECK_THROWS_AS(mm::Folio(machine, mfn, k_order_4k).reset(), model::Panic);
}

TEST_CASE("F3: carving leaves the largest folios and every reference in its place") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 64 * k_mib)};
  REQUIRE(machine.initialize(ram, ram));
  const u64 before = machine.statistics().free_frames();
  for (const u64 at : {u64{0}, u64{1}, u64{255}, u64{256}, u64{511}}) {
    auto whole = machine.allocate(k_order_2m, k_domain, FrameKind::guest);
    REQUIRE(whole);
    const Mfn head = whole->mfn();
    auto references = machine.reference(head, k_order_2m, k_domain, FrameKind::guest);
    whole->reset();
    static_cast<void>(std::move(*references).keep());
    REQUIRE(machine.carve(head + at, k_order_4k, k_domain, [](Mfn, u64 frames) { return frames; }));
    std::set<unsigned> orders;
    for (u64 frame = 0; frame < 512;) {
      const auto folio = machine.folio_at(head + frame);
      REQUIRE(folio);
      REQUIRE(folio->head == head + frame);
      REQUIRE(folio->references == folio->order.frames());
      orders.insert(folio->order.value());
      frame += folio->order.frames();
    }
    CHECK(orders == std::set<unsigned>{0, 1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(machine.folio_at(head + at)->order == k_order_4k);
    for (u64 frame = 0; frame < 512; ++frame) mm::Folio(machine, head + frame, k_order_4k).reset();
    CHECK(machine.statistics().free_frames() == before);
    CHECK(machine.folio_at(head)->order >= k_order_2m);  // merged again
  }
}

TEST_CASE("F7: a table pool is all or nothing and gives everything back") {
  model::SimulatedMachine simulated(16 * k_mib);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {range(0, 16 * k_mib)};
  REQUIRE(machine.initialize(ram, ram));
  const u64 before = machine.statistics().free_frames();
  mm::TablePool pool;
  CHECK(pool.reserve(machine, k_domain, before + 1).error() == Error::out_of_memory);
  CHECK(machine.statistics().free_frames() == before);
  REQUIRE(pool.reserve(machine, k_domain, 3));
  struct Client final : mm::Gather::Client {
    void before_flush() override { ++calls; }
    int calls = 0;
  } client;
  mm::TagUsers users;
  mm::Gather gather(pool, users, client);
  for (int i = 0; i < 3; ++i) {
    const Result<Mfn> table = pool.take();
    REQUIRE(table);
    gather.table(*table);
  }
  CHECK(pool.take().error() == Error::no_table_memory);
  CHECK(pool.statistics().used == 3);
  CHECK_THROWS_AS(pool.release(), model::Panic);
  gather.complete();
  CHECK(client.calls == 1);
  CHECK(pool.statistics().used == 0);
  CHECK(pool.statistics().peak == 3);
  pool.release();
  CHECK(machine.statistics().free_frames() == before);
}
