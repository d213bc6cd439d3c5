// SPDX-License-Identifier: Apache-2.0
// Reset by the chip set's reset control register: hard reset selected, then asked for.
#include "machine.hpp"
#include "shutdown.hpp"

void guest_main() {
  expect_the_end("reset by port 0xCF9", [] {
    x86::outb(0xCF9, 2);
    x86::outb(0xCF9, 6);
  });
}
