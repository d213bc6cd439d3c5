// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/size.hpp"

#include <catch2/catch.hpp>

using namespace octavo;
using namespace octavo::build;

TEST_CASE("size: what people write") {
  CHECK(parse_size("4096") == 4096);
  CHECK(parse_size("4K") == 4096);
  CHECK(parse_size("512M") == 512ULL << 20);
  CHECK(parse_size("2G") == 2ULL << 30);
  CHECK(parse_size("1T") == 1ULL << 40);
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("18446744073709551615") == ~u64{0});
}

TEST_CASE("size: what is none") {
  for (const char* const text : {"", "M", "12X", "12MB", "1.5G", "-1", " 1", "1 ", "0x10", "12m", "18446744073709551616", "16777216T"}) {
    INFO(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("size: what people read") {
  CHECK(exact_size(2ULL << 30) == "2G");
  CHECK(exact_size(1536ULL << 20) == "1536M");
  CHECK(exact_size(4097) == "4097");
  CHECK(exact_size(0) == "0");
  CHECK(rounded_size(0) == "0");
  CHECK(rounded_size(1023) == "1023");
  CHECK(rounded_size(1024) == "1K");
  CHECK(rounded_size(1536) == "1.5K");
  CHECK(rounded_size(3ULL << 40) == "3T");
  CHECK(rounded_size(30723276) == "29.3M");
}

TEST_CASE("size: the exact form reads back") {
  for (u64 value = 1; value != 0; value *= 3) {
    CHECK(parse_size(exact_size(value)) == value);
    if (value > ~u64{0} / 3) break;
  }
}
