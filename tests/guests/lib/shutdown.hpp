// SPDX-License-Identifier: Apache-2.0
// For guests that end the machine: the plan and the test are written before, and a second, failing one after if it goes
// on.
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
  // The emulator's own power-off is asynchronous: its CPU goes on for a while. This is seconds there, and nothing where
  // it works.
  for (unsigned i = 0; i < 500'000'000; ++i) asm volatile("pause");
  tap::check(false, Text("the machine went on after ", what).c_str());
}
