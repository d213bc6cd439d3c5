// SPDX-License-Identifier: Apache-2.0
// The buddy lists by themselves (F2), and the claim that takes from them bit by bit.
#include "mm/buddy.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "mm/claim.hpp"
#include "tests/model/machine.hpp"

using namespace octavo;
using mm::FrameKind;

namespace {
constexpr u64 k_gib = u64{1} << 30;
constexpr DomainId k_domain{7};

/// Lists over two gigabytes of which nothing is a member yet.
struct Lists {
  Lists() {
    const arch::MemoryRange ram[] = {{Hpa{0}, 2 * k_gib}, {Hpa{4 * k_gib}, k_gib}};
    REQUIRE(table.lay_out(ram));
    table.place(Mfn{(4 * k_gib) >> k_page_shift});
    buddy.attach(table, DomainId::hypervisor);
  }
  model::SimulatedMachine simulated{5 * k_gib};
  mm::FrameTable table;
  mm::Buddy buddy{DomainId::hypervisor, FrameKind::free_clean, FrameKind::free_dirty, 0};
};
}  // namespace

TEST_CASE("F2: the lists say what can be taken, up to the largest order and not beyond") {
  Lists lists;
  CHECK_FALSE(lists.buddy.can_take(k_order_4k));
  lists.buddy.insert(Mfn{0}, mm::k_max_order, FrameKind::free_clean);
  CHECK(lists.buddy.can_take(k_order_4k));
  CHECK(lists.buddy.can_take(mm::k_max_order));
  for (unsigned order = mm::k_max_order.value() + 1; order < 128; ++order) {
    CHECK_FALSE(lists.buddy.can_take(Order{order}));
    CHECK_FALSE(lists.buddy.take(Order{order}, true));
  }
  CHECK(lists.buddy.take(mm::k_max_order, true));
  CHECK_FALSE(lists.buddy.can_take(k_order_4k));
}

TEST_CASE("F2: the frames of both kinds are counted") {
  Lists lists;
  lists.buddy.insert(Mfn{0}, k_order_2m, FrameKind::free_clean);
  lists.buddy.insert(Mfn{4096}, Order{3}, FrameKind::free_dirty);
  CHECK(lists.buddy.frames() == 512 + 8);
  CHECK(lists.buddy.frames(FrameKind::free_clean) == 512);
  CHECK(lists.buddy.frames(FrameKind::free_dirty) == 8);
  CHECK(lists.buddy.frames(FrameKind::guest) == 0);
}

TEST_CASE("F4: of runs that serve alike, the clean or the dirty one is taken as was asked for") {
  for (const bool clean : {false, true}) {
    Lists lists;
    for (const u64 mfn : {u64{0}, u64{1024}, u64{2048}, u64{3072}}) lists.buddy.insert(Mfn{mfn}, k_order_2m, mfn % 2048 == 0 ? FrameKind::free_clean : FrameKind::free_dirty);
    for (int i = 0; i < 2; ++i) {
      const auto block = lists.buddy.take(k_order_2m, clean);
      REQUIRE(block);
      CHECK(block->kind == (clean ? FrameKind::free_clean : FrameKind::free_dirty));
    }
  }
}

TEST_CASE("F4, D4: a claim that is given up half way gives its folio back") {
  model::SimulatedMachine simulated{2 * k_gib};
  mm::Machine machine;
  const arch::MemoryRange ram[] = {{Hpa{0}, 2 * k_gib}};
  REQUIRE(machine.initialize(ram, ram, mm::Contents::any));
  const u64 free = machine.statistics().free_frames();
  mm::Claim claim;
  u64 budget = 512;
  CHECK(claim.take(machine, k_order_1g, k_domain, budget).error() == Error::again);
  CHECK(claim.frames() == k_order_1g.frames());
  CHECK(machine.statistics().free_frames() == free - k_order_1g.frames());
  budget = 512;
  CHECK(claim.take(machine, k_order_2m, k_domain, budget).error() == Error::invalid_argument);
  claim.reset();
  CHECK(claim.frames() == 0);
  CHECK(machine.statistics().free_frames() == free);
  budget = 512;
  CHECK(claim.take(machine, k_order_2m, k_domain, budget));
}
