// SPDX-License-Identifier: Apache-2.0
// What a domain remembers about its memory is forgotten before a frame can go to anyone else.
#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using domain::manager;
using test::Rig;

namespace {
constexpr u64 k_tables[] = {0x10000, 0x11000, 0x12000, 0x13000};  // level 4 to 1
constexpr u64 k_code = 0x14000, k_rip = 0x7000'0123, k_present = 3;

void write(domain::Domain& guest, u64 gpa, u64 value) {
  REQUIRE(guest.guest_memory().write(Gpa{gpa}, {reinterpret_cast<const u8*>(&value), sizeof value}));
}
/// Guest tables by which k_rip is in the page k_code.
void map_code(domain::Domain& guest) {
  unsigned shift = 39;
  for (usize i = 0; i < 4; ++i, shift -= 9) write(guest, k_tables[i] + (k_rip >> shift & 511) * 8, (i < 3 ? k_tables[i + 1] : k_code) | k_present);
  write(guest, k_code + 0x120, 0x0000'A20F'0000'0000);
}
}  // namespace

TEST_CASE("DomainMemory: the way to an instruction is forgotten when a frame on it is unmapped") {
  Rig rig;
  rig.add_module("web.dom", test::with_property(test::small_image("web"), "/config", "leaf-orders", test::cell(0)));
  rig.start();
  const auto made = manager().create(0);
  REQUIRE(made);
  domain::Domain& guest = **made;
  map_code(guest);
  for (int time = 0; time < 2; ++time) {
    const std::optional<u32> bytes = guest.peek_executed(k_tables[0], k_rip + 1);
    REQUIRE(bytes);
    CHECK(*bytes == 0xA20F);
  }
  const u64 gone = GENERATE(k_tables[0], k_tables[1], k_tables[2], k_tables[3], k_code);
  REQUIRE(guest.p2m().unmap_range(to_gfn(Gpa{gone}), 1));
  CHECK_FALSE(guest.peek_executed(k_tables[0], k_rip + 1));
  manager().destroy(guest);
}
