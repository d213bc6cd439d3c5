// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <bitset>
#include <random>

#include "arch/x86/parse/range_set.hpp"

using namespace octavo;
using namespace octavo::arch;

namespace {
constexpr usize k_universe = 64;
using Model = std::bitset<k_universe>;

template <usize capacity>
Model bits_of(const RangeSet<capacity>& set) {
  Model model;
  u64 previous_end = 0;
  bool first = true;
  for (const MemoryRange& range : set.ranges()) {
    REQUIRE(range.size > 0);
    REQUIRE((first || range.base.value() > previous_end));  // ascending, with a gap
    first = false;
    previous_end = range.base.value() + range.size;
    for (u64 i = range.base.value(); i < previous_end; ++i) model.set(i);
  }
  return model;
}
}  // namespace

TEST_CASE("ranges: any sequence of add and remove gives what a set of bits gives") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int run = 0; run < 200; ++run) {
    RangeSet<8> set;
    Model model;
    for (int step = 0; step < 40; ++step) {
      const u64 begin = random() % k_universe, end = random() % (k_universe + 1);
      const bool adds = random() % 2 == 0;
      Model expected = model;
      for (u64 i = begin; i < end; ++i) expected.set(i, adds);
      const Result<> result = adds ? set.add(begin, end) : set.remove(begin, end);
      if (result) model = expected;
      else CHECK(result.error() == Error::overflow);
      REQUIRE(bits_of(set) == model);  // also after overflow: nothing has changed
      REQUIRE(set.bytes() == model.count());
    }
  }
}

TEST_CASE("ranges: overflow is said exactly when there is no room") {
  RangeSet<2> set;
  REQUIRE(set.add(0, 1));
  REQUIRE(set.add(10, 20));
  CHECK(set.add(5, 6).error() == Error::overflow);
  CHECK(set.remove(12, 13).error() == Error::overflow);
  CHECK(set.add(1, 10));
  CHECK(set.ranges().size() == 1);
}

TEST_CASE("ranges: contains() wants one range, and does not overflow") {
  RangeSet<4> set;
  REQUIRE(set.add(0x1000, 0x3000));
  REQUIRE(set.add(0x4000, 0x5000));
  CHECK(set.contains(0x1000, 0x2000));
  CHECK(set.contains(0x2fff, 1));
  CHECK(!set.contains(0x2fff, 2));
  CHECK(!set.contains(0x2000, 0x2800));
  CHECK(!set.contains(0x1000, ~u64{0}));
  CHECK(!set.contains(0, 0x2000));
}
