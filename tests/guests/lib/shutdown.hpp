// SPDX-License-Identifier: Apache-2.0
// For guests that end the machine: the plan and the test are written before, and a second, failing one after if it goes on.
#pragma once
#include "tap.hpp"
#include "uart.hpp"

template <typename F>
void expect_the_end(const char* what, F&& end) {
  print("# ", what, "\n1..1\nok 1 - going to ", what, "\n");
  uart::drain();
  end();
  for (unsigned i = 0; i < 100000; ++i) x86::inb(0x80);
  tap::check(false, Text("the machine went on after ", what).c_str());
}
