// SPDX-License-Identifier: Apache-2.0
// Reset by bit 0 of system control port A.
#include "machine.hpp"
#include "shutdown.hpp"

void guest_main() {
  expect_the_end("reset by port 0x92", [] { x86::outb(0x92, x86::inb(0x92) | 1u); });
}
