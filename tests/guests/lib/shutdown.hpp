// SPDX-License-Identifier: Apache-2.0
// For guests that end the machine: the plan and the test are written before, and a second, failing one after if it goes on.
#pragma once
#include "machine.hpp"
#include "tap.hpp"
#include "uart.hpp"

/// On the bare emulator what follows has another outcome, or none: the guest passes here with one test skipped.
inline void only_on_octavo() {
  if (!machine::bare()) return;
  tap::skip("all of it", "the outcome is Octavo's");
  tap::finish();
}

template <typename F>
void expect_the_end(const char* what, F&& end) {
  print("# ", what, "\n1..1\nok 1 - going to ", what, "\n");
  uart::drain();
  end();
  for (unsigned i = 0; i < 100000; ++i) x86::inb(0x80);
  tap::check(false, Text("the machine went on after ", what).c_str());
}
