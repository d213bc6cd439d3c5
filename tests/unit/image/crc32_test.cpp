// SPDX-License-Identifier: Apache-2.0
#include "lib/crc32.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string_view>
#include <vector>

using namespace octavo;

namespace {

/// Bit by bit, from the definition.
u32 reference(std::span<const std::byte> bytes) {
  u32 state = ~u32{0};
  for (const std::byte byte : bytes) {
    state ^= std::to_integer<u32>(byte);
    for (int i = 0; i < 8; ++i) state = (state & 1) != 0 ? (state >> 1) ^ 0xedb88320 : state >> 1;
  }
  return ~state;
}
}  // namespace

TEST_CASE("crc32: the check value of the catalogue") {
  CHECK(crc32(std::as_bytes(std::span{std::string_view{"123456789"}})) == 0xcbf43926);
  CHECK(crc32({}) == 0);
}

TEST_CASE("crc32: any length, alignment and cutting gives what the definition gives") {
  std::mt19937 random{1};
  std::vector<std::byte> bytes(200);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (usize begin = 0; begin < 9; ++begin) {
    for (usize end = begin; end <= bytes.size(); ++end) {
      const auto part = std::span{bytes}.subspan(begin, end - begin);
      Crc32 cut;
      const usize at = part.empty() ? 0 : random() % part.size();
      cut.update(part.first(at));
      cut.update(part.subspan(at));
      REQUIRE(crc32(part) == reference(part));
      REQUIRE(cut.value() == reference(part));
    }
  }
}
