// SPDX-License-Identifier: Apache-2.0
// The frame table at the edges of what it spans.
#include "mm/frame_table.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/model/machine.hpp"

using namespace octavo;

namespace {
constexpr u64 k_mib = u64{1} << 20;
constexpr u64 k_mib_frames = k_mib >> k_page_shift;
constexpr u64 k_tib = u64{1} << 40;

arch::MemoryRange range(u64 base, u64 end) { return {Hpa{base}, end - base}; }
}  // namespace

TEST_CASE("F1: ranges no further apart than 16 MiB share an extent, and every frame is found again") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::FrameTable table;
  const std::vector<arch::MemoryRange> ram{range(k_mib, 2 * k_mib), range(18 * k_mib, 19 * k_mib), range(35 * k_mib + k_page_size, 37 * k_mib)};
  REQUIRE(table.lay_out(ram));
  // One extent from 1M to 19M with the hole, and one of 2M less a page.
  CHECK(table.frames() == 18 * k_mib_frames + 2 * k_mib_frames - 1);
  CHECK(table.table_frames() == (table.frames() * 16 + k_page_size - 1) / k_page_size);
  table.place(Mfn{0});
  const auto has = [&](u64 bytes) { return table.find(Mfn{bytes >> k_page_shift}) != nullptr; };
  CHECK_FALSE(has(k_mib - k_page_size));
  CHECK(has(k_mib));
  CHECK(has(10 * k_mib));
  CHECK(has(19 * k_mib - k_page_size));
  CHECK_FALSE(has(19 * k_mib));
  CHECK_FALSE(has(35 * k_mib));
  CHECK(has(35 * k_mib + k_page_size));
  CHECK(has(37 * k_mib - k_page_size));
  CHECK_FALSE(has(37 * k_mib));
  for (u32 index = 0; index < table.frames(); ++index) {
    const mm::Frame& frame = table.at(index);
    REQUIRE(table.index_of(frame) == index);
    REQUIRE(table.find(table.mfn_of(frame)) == &frame);
    REQUIRE_FALSE(frame.state().is_head());
  }
}

TEST_CASE("F1: the head of a folio is found from every frame in it, and from none beside it") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::FrameTable table;
  const std::vector<arch::MemoryRange> ram{range(0, 64 * k_mib)};
  REQUIRE(table.lay_out(ram));
  table.place(Mfn{0});
  constexpr Order k_order{4};
  const Mfn head{0x1000 + 16};
  table.find(head)->set_state(mm::FrameState{DomainId{1}, mm::FrameKind::guest, k_order, 1});
  for (u64 i = 0; i < k_order.frames(); ++i) REQUIRE(table.head_of(head + i) == table.find(head));
  CHECK(table.head_of(head - 1) == nullptr);
  CHECK(table.head_of(head + k_order.frames()) == nullptr);
  CHECK(table.head_of(Mfn{0x1000}) == nullptr);
  CHECK(table.head_of(Mfn{0}) == nullptr);
}

TEST_CASE("F1: a folio of the largest order is found from its last frame, and not from the frame behind it") {
  model::SimulatedMachine simulated(64 * k_mib);
  mm::FrameTable table;
  const std::vector<arch::MemoryRange> ram{range(0, u64{2} << 30)};
  REQUIRE(table.lay_out(ram));
  table.place(Mfn{0});
  table.find(Mfn{0})->set_state(mm::FrameState{DomainId{1}, mm::FrameKind::guest, mm::k_max_order, 1});
  CHECK(table.head_of(Mfn{mm::k_max_order.frames() - 1}) == table.find(Mfn{0}));
  CHECK(table.head_of(Mfn{mm::k_max_order.frames()}) == nullptr);
  CHECK(table.head_of(Mfn{mm::k_max_order.frames() + 1}) == nullptr);
}

TEST_CASE("F2: a memory map may reach the very limits, and not beyond") {
  const auto error_of = [](const std::vector<arch::MemoryRange>& ram) {
    mm::FrameTable table;
    const Result<void> done = table.lay_out(ram);
    return done ? Error{} : done.error();
  };
  constexpr u64 k_end = u64{1} << 52;
  CHECK(error_of({range(k_end - k_mib, k_end)}) == Error{});
  CHECK(error_of({range(k_end - k_mib, k_end + k_page_size)}) == Error::out_of_range);
  CHECK(error_of({}) == Error::invalid_argument);
  CHECK(error_of({range(0, k_mib), range(k_mib, k_mib)}) == Error::invalid_argument);      // empty
  CHECK(error_of({range(0, k_mib), range(k_mib, 2 * k_mib)}) == Error{});                  // side by side
  CHECK(error_of({range(0, k_mib), range(k_mib - k_page_size, 2 * k_mib)}) == Error::invalid_argument);
  CHECK(error_of({range(k_page_size / 2, k_mib)}) == Error::invalid_argument);
  CHECK(error_of({{Hpa{0}, k_page_size / 2}}) == Error::invalid_argument);
  // 32-bit indexes, of which one says "none".
  CHECK(error_of({range(0, 16 * k_tib - k_page_size)}) == Error::unsupported);
  CHECK(error_of({range(0, 16 * k_tib - 2 * k_page_size)}) == Error{});
  std::vector<arch::MemoryRange> many;
  for (u64 i = 0; i < 64; ++i) many.push_back(range(i << 30, (i << 30) + k_mib));
  CHECK(error_of(many) == Error{});
  many.push_back(range(u64{64} << 30, (u64{64} << 30) + k_mib));
  CHECK(error_of(many) == Error::unsupported);
}

TEST_CASE("F2: a table that is laid out again forgets what it was") {
  const model::SimulatedMachine simulated{64 * k_mib};
  mm::FrameTable table;
  const std::vector<arch::MemoryRange> large{range(0, k_mib), range(32 * k_mib, 64 * k_mib)};
  const std::vector<arch::MemoryRange> small{range(0, k_mib)};
  REQUIRE(table.lay_out(large));
  REQUIRE(table.lay_out(small));
  CHECK(table.frames() == k_mib_frames);
  table.place(Mfn{0});
  CHECK(table.find(Mfn{k_mib_frames - 1}) != nullptr);
  CHECK(table.find(Mfn{32 * k_mib_frames}) == nullptr);
  CHECK(table.find(Mfn{64 * k_mib_frames - 1}) == nullptr);
  const std::vector<arch::MemoryRange> other{range(2 * k_mib, 3 * k_mib)};
  REQUIRE(table.lay_out(other));
  CHECK(table.find(Mfn{0}) == nullptr);
  CHECK(table.mfn_of(*table.find(Mfn{2 * k_mib_frames})) == Mfn{2 * k_mib_frames});
}

TEST_CASE("F1: where the table is placed, whatever lay there before, all frames are nobody's") {
  const model::SimulatedMachine simulated{64 * k_mib};
  __builtin_memset(simulated.at(Hpa{k_mib}), 0xA5, k_mib);
  mm::FrameTable table;
  const std::vector<arch::MemoryRange> ram{range(0, 64 * k_mib)};
  REQUIRE(table.lay_out(ram));
  table.place(Mfn{k_mib_frames});
  for (u64 mfn = 0; mfn < table.frames(); ++mfn) REQUIRE_FALSE(table.find(Mfn{mfn})->state().is_head());
}
