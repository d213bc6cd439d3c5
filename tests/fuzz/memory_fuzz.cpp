// SPDX-License-Identifier: Apache-2.0
// libFuzzer: the input is a sequence of operations on a guest's memory, eight bytes each after eight of set-up, against the oracle
// of tests/model/script.hpp.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/model/script.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  constexpr std::size_t k_most_steps = 100;
  const auto word = [&](std::size_t i) {
    u64 value = 0;
    if (8 * i < size) std::memcpy(&value, data + 8 * i, std::min<std::size_t>(8, size - 8 * i));
    return value;
  };
  const u64 setup = word(0) & ~(u64{4} << 24);  // no target of a gigabyte: it would have to be zeroed each time
  try {
    model::MemoryScript script((setup >> 48 & 1) != 0 ? model::MemoryScript::Kind::pod : model::MemoryScript::Kind::plain,
                               (setup >> 49 & 1) != 0 ? p2m::Paging::ept : p2m::Paging::npt, setup);
    for (std::size_t i = 1; i <= k_most_steps && 8 * i < size; ++i) script.step(word(i));
    script.finish(word(0) >> 56 | 16);
  } catch (const std::exception& broken) {
    std::fprintf(stderr, "broken: %s\n", broken.what());
    std::abort();
  }
  return 0;
}
