// SPDX-License-Identifier: Apache-2.0
// No IDT and a UD2: the processor shuts down.
#include "machine.hpp"
#include "shutdown.hpp"

void guest_main() {
  expect_the_end("shut the processor down", [] {
    x86::lidt({0, 0});
    asm volatile("ud2");
  });
}
