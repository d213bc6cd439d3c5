// SPDX-License-Identifier: Apache-2.0
// Linked with -N into one segment that is writable and executable, so that the check has something to find.
int counter = 1;
extern "C" [[noreturn]] void _start() {
  volatile int& seen = counter;
  for (;;) seen = seen + 1;
}
