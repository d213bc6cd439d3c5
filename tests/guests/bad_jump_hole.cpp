// SPDX-License-Identifier: Apache-2.0
// Executes where the domain has no memory: no instruction can be fetched, let alone decoded.
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  const word hole = static_cast<word>(machine::ram_end() + k_gib);
  expect_the_end("jump beyond the RAM", [=] { reinterpret_cast<void (*)()>(hole)(); });
}
