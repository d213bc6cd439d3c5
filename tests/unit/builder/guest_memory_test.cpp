// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/guest_memory.hpp"

#include <catch2/catch.hpp>

using namespace octavo;
using namespace octavo::build;

namespace {
constexpr u64 k_gib = u64{1} << 30;
constexpr u64 k_mib = u64{1} << 20;

Segment piece(const char* label, u64 gpa, u64 size) { return {label, gpa, size, {}}; }
}  // namespace

TEST_CASE("guest memory: below 3 GiB one range, above it a second from 4 GiB") {
  const GuestMemory small{64 * k_mib};
  REQUIRE(small.ranges().size() == 1);
  CHECK(small.ranges()[0].size == 64 * k_mib);
  const GuestMemory exact{3 * k_gib};
  CHECK(exact.ranges().size() == 1);
  const GuestMemory large{3 * k_gib + 4096};
  REQUIRE(large.ranges().size() == 2);
  CHECK(large.ranges()[0].size == 3 * k_gib);
  CHECK(large.ranges()[1].base == 4 * k_gib);
  CHECK(large.ranges()[1].size == 4096);
}

TEST_CASE("guest memory: the map that the guest is given") {
  const auto map = GuestMemory{5 * k_gib}.e820();
  REQUIRE(map.size() == 4);
  CHECK((map[0].base == 0 && map[0].size == 0x9fc00 && map[0].type == k_e820_ram));
  CHECK((map[1].base == 0x9fc00 && map[1].size == 0x60400 && map[1].type == k_e820_reserved));
  CHECK((map[2].base == k_mib && map[2].size == 3 * k_gib - k_mib && map[2].type == k_e820_ram));
  CHECK((map[3].base == 4 * k_gib && map[3].size == 2 * k_gib && map[3].type == k_e820_ram));
  CHECK(GuestMemory{k_mib}.e820().size() == 2);
}

TEST_CASE("guest memory: segments at a place of their own") {
  GuestMemory memory{64 * k_mib};
  CHECK(memory.place_at(piece("kernel", k_mib, 0x1001)));
  CHECK(memory.place_at(piece("next", k_mib + 0x2000, 0x1000)));
  CHECK(memory.place_at(piece("same page", k_mib + 0x1000, 0x10)).error().text == "same page at 0x101000 needs 16, but kernel lies at 0x100000");
  CHECK(memory.place_at(piece("hole", 0x9f000, 0x1000)).error().text == "hole needs 4K at 0x9f000, which is not all RAM in a domain of 64M");
  CHECK(memory.place_at(piece("end", 63 * k_mib, 2 * k_mib)).error().text ==
        "end needs 2M at 0x3f00000, which is not all RAM in a domain of 64M");
  CHECK(memory.place_at(piece("wrap", ~u64{0} << 12, 0x2000)).error().text ==
        "wrap needs 8K at 0xfffffffffffff000, which is not all RAM in a domain of 64M");
  CHECK(memory.place_firmware(piece("acpi", 0xf0000, 0x100)));
  REQUIRE(memory.segments().size() == 3);
  CHECK(memory.segments()[0].label == "acpi");
}

TEST_CASE("guest memory: the lowest and the highest place that is free") {
  GuestMemory memory{64 * k_mib};
  REQUIRE(memory.place_at(piece("low", 0x2000, 0x1000)));
  REQUIRE(memory.place_at(piece("high", 62 * k_mib, k_mib)));
  CHECK(*memory.place(piece("a", 0, 0x1000), 0x1000, 64 * k_mib, GuestMemory::From::bottom) == 0x1000);
  CHECK(*memory.place(piece("b", 0, 0x1001), 0x1000, 64 * k_mib, GuestMemory::From::bottom) == 0x3000);
  CHECK(*memory.place(piece("c", 0, 1), 0x1000, 64 * k_mib, GuestMemory::From::top) == 64 * k_mib - 0x1000);
  CHECK(*memory.place(piece("d", 0, k_mib), 0x1000, 64 * k_mib, GuestMemory::From::top) == 61 * k_mib);
  CHECK(*memory.place(piece("e", 0, 0x1000), 0x1000, 32 * k_mib + 5, GuestMemory::From::top) == 32 * k_mib - 0x1000);
  CHECK(*memory.place(piece("f", 0, k_mib), 0x1000, 64 * k_mib, GuestMemory::From::bottom) == k_mib);
  CHECK(memory.place(piece("g", 0, 64 * k_mib), 0x1000, 64 * k_mib, GuestMemory::From::bottom).error().text ==
        "g of 64M does not fit into the free memory between 0x1000 and 0x4000000");
}

TEST_CASE("guest memory: placed segments are ascending and share no page, whatever the order") {
  GuestMemory memory{16 * k_mib};
  u64 state = 1;
  for (int i = 0; i < 500; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const u64 size = 1 + (state >> 33) % 0x5000;
    const auto from = (state >> 62 & 1) != 0 ? GuestMemory::From::top : GuestMemory::From::bottom;
    (void)memory.place(piece("x", 0, size), 0x1000, 16 * k_mib, from);
  }
  const auto& segments = memory.segments();
  REQUIRE(segments.size() > 100);
  for (usize i = 0; i < segments.size(); ++i) {
    REQUIRE(segments[i].gpa % 4096 == 0);
    const u64 end = align_up(segments[i].gpa + segments[i].memory_size, 4096);
    REQUIRE(end <= (i + 1 < segments.size() ? segments[i + 1].gpa : 16 * k_mib));
    REQUIRE((end <= 0x9f000 || segments[i].gpa >= k_mib));
  }
}
