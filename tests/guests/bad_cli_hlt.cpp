// SPDX-License-Identifier: Apache-2.0
// Halts with interrupts off: nothing can ever wake it.
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  expect_the_end("halt with interrupts off", [] { x86::halt_for_ever(); });
}
