// SPDX-License-Identifier: Apache-2.0
// Reset by the keyboard controller's command to pulse the reset line.
#include "machine.hpp"
#include "shutdown.hpp"

void guest_main() {
  expect_the_end("reset by the keyboard controller", [] { x86::outb(0x64, 0xFE); });
}
