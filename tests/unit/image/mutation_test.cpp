// SPDX-License-Identifier: Apache-2.0
// The fuzzer's little brother, for every compiler: random damage, the same on every run. OCTAVO_SEED chooses another.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "tests/fuzz/image_oracle.hpp"
#include "tests/unit/image/sample_image.hpp"

using namespace octavo;
using namespace octavo::test;

namespace {

void check(const Bytes& bytes) {
  static domain::Image image;
  if (!domain::check_image(bytes, image)) return;
  if (const char* const promise = broken_promise(bytes, image)) FAIL(promise);
}

u32 seed() {
  const char* const text = std::getenv("OCTAVO_SEED");
  return text == nullptr ? 1 : static_cast<u32>(std::strtoul(text, nullptr, 0));
}

usize tree_size(const Bytes& bytes) {
  return std::to_integer<usize>(bytes[4]) << 24 | std::to_integer<usize>(bytes[5]) << 16 | std::to_integer<usize>(bytes[6]) << 8 |
         std::to_integer<usize>(bytes[7]);
}
}  // namespace

TEST_CASE("image: every bit of the tree flipped") {
  for (Bytes bytes : {sample_image(), sample_image64()}) {
    for (usize bit = 0; bit < tree_size(bytes) * 8; ++bit) {
      const std::byte mask{static_cast<u8>(1U << (bit % 8))};
      bytes[bit / 8] ^= mask;
      check(bytes);
      bytes[bit / 8] ^= mask;
    }
  }
}

TEST_CASE("image: every truncation is refused") {
  const Bytes whole = sample_image();
  for (usize size = 0; size < whole.size(); ++size) {
    INFO(size);
    REQUIRE_FALSE(verdict(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).empty());
  }
}

TEST_CASE("image: every word of the tree replaced by what arithmetic dislikes") {
  for (const Bytes& whole : {sample_image(), sample_image64()}) {
    for (usize at = 0; at + 4 <= tree_size(whole); at += 4) {
      for (const u32 word : {0U, 1U, 4U, 0xfffU, 0x1000U, 0x7fff'ffffU, 0x8000'0000U, 0xffff'f000U, 0xffff'ffffU}) {
        Bytes bytes = whole;
        const Bytes cell_bytes = cell(word);
        std::copy(cell_bytes.begin(), cell_bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
        check(bytes);
      }
    }
  }
}

TEST_CASE("image: random damage") {
  INFO("OCTAVO_SEED=" << seed());
  std::mt19937 random{seed()};
  const Bytes samples[] = {sample_image(), sample_image64()};
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = samples[random() % 2];
    const usize size = tree_size(bytes);
    for (u32 edits = 1 + random() % 4; edits != 0; --edits) {
      const usize at = random() % size;
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<std::byte>(random()); break;
        case 1: bytes[at] ^= std::byte{static_cast<u8>(1U << (random() % 8))}; break;
        case 2: {  // a word goes elsewhere: tags, lengths and numbers change places
          const usize from = random() % size & ~usize{3};
          std::copy_n(&bytes[from], 4, &bytes[at & ~usize{3}]);
          break;
        }
        default: bytes.resize(bytes.size() - random() % 16); break;
      }
    }
    check(bytes);
  }
}
