// SPDX-License-Identifier: Apache-2.0
// Reads guest-physical memory that the domain does not have.
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  const word hole = static_cast<word>(machine::ram_end() + k_gib);
  expect_the_end("read beyond the RAM", [=] { (void)*at<u64>(hole); });
}
