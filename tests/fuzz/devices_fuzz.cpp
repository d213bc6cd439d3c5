// SPDX-License-Identifier: Apache-2.0
// libFuzzer: the input is a hostile guest's port accesses and the time between them.
#include <cstdio>
#include <cstdlib>

#include "tests/property/devices/board_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  octavo::devices::test::BoardCheck check;
  if (const char* broken = check.run({data, size})) {
    std::fprintf(stderr, "broken: %s\n", broken);
    std::abort();
  }
  return 0;
}
