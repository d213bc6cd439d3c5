// SPDX-License-Identifier: Apache-2.0
// CR3 points to where there is no memory: not even an exception can be delivered.
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  const word hole = static_cast<word>((machine::ram_end() + k_gib) & ~u64{k_page - 1});
  expect_the_end("CR3 beyond the RAM", [=] { x86::cr3(hole); });
}
