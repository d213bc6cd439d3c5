// SPDX-License-Identifier: Apache-2.0
// What holds for a board whatever a guest does: random accesses, time steps, acknowledges and input, checked by board_check.hpp.
#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "tests/property/devices/board_check.hpp"

namespace octavo::devices {
TEST_CASE("property: no sequence of accesses breaks the board's invariants") {
  CHECK(rc::check([](const std::vector<u8>& bytes, u32 seed) {
    // The generator's bytes choose the beginning, the seed a long tail.
    test::BoardCheck check;
    std::vector<u8> input = bytes;
    for (u32 i = 0, x = seed; i < 2000; ++i) {
      x = x * 1664525 + 1013904223;
      input.push_back(static_cast<u8>(x >> 24));
    }
    const char* broken = check.run(input);
    if (broken != nullptr) RC_FAIL(broken);
  }));
}
}  // namespace octavo::devices
