// SPDX-License-Identifier: Apache-2.0
#include "tap.hpp"

#include "uart.hpp"

namespace {
unsigned tests = 0, failures = 0;

void verdict(bool ok, const char* name) {
  ++tests;
  if (!ok) ++failures;
  print(ok ? "ok " : "not ok ", tests, " - ", name);
}
}  // namespace

void Text::append(char character) {
  if (size_ + 1 < sizeof buffer_) buffer_[size_++] = character;
}
void Text::append(const char* string) {
  while (*string != 0) append(*string++);
}
void Text::append(Hex number) {
  append("0x");
  bool started = false;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const unsigned digit = static_cast<unsigned>(number.value >> shift) & 15;
    started = started || digit != 0 || shift == 0;
    if (started) append("0123456789abcdef"[digit]);
  }
}
void Text::append(unsigned long long number) {
  char digits[20];
  unsigned count = 0;
  do {  // Long division by ten in steps of 32 bits, as there is no 64-bit division on 32 bits here.
    u64 quotient = 0;
    u32 rest = 0;
    for (int i = 63; i >= 0; --i) {
      rest = rest << 1 | static_cast<u32>(number >> i & 1);
      if (rest >= 10) rest -= 10, quotient |= u64{1} << i;
    }
    digits[count++] = static_cast<char>('0' + rest);
    number = quotient;
  } while (number != 0);
  while (count != 0) append(digits[--count]);
}
void Text::append(int number) {
  if (number < 0) append('-');
  append(number < 0 ? 0u - static_cast<unsigned>(number) : static_cast<unsigned>(number));
}

void print_string(const char* string) {
  uart::write(string);
}

namespace tap {
bool check(bool holds, const char* name) {
  verdict(holds, name);
  print("\n");
  return holds;
}

bool equal(u64 got, u64 expected, const char* name) {
  verdict(got == expected, name);
  if (got == expected)
    print("\n");
  else
    print(" # expected ", hex(expected), " got ", hex(got), "\n");
  return got == expected;
}

void skip(const char* name, const char* why) {
  verdict(true, name);
  print(" # SKIP ", why, "\n");
}

void check_or(bool right, bool deviates, Deviation deviation, const char* name) {
  verdict(right || deviates, name);
  if (!right && deviates) print(" # SKIP emulator deviation ", name_of(deviation));
  print("\n");
}

Text describe(const Fault& fault) {
  if (!fault) return Text("no fault");
  return Text("vector ", fault.vector, " error ", hex(fault.error), " ip ", hex(fault.frame.ip), " address ",
              hex(fault.address));
}

Fault expect(const Fault& fault, unsigned vector, const char* name) {
  verdict(fault.vector == vector, name);
  if (fault.vector == vector)
    print("\n");
  else
    print(" # expected ", vector == k_no_fault ? Text("no fault").c_str() : Text("vector ", vector).c_str(), " got ",
          describe(fault).c_str(), "\n");
  return fault;
}
Fault expect(const Fault& fault, unsigned vector, word error, const char* name) {
  const bool ok = fault.vector == vector && fault.error == error;
  verdict(ok, name);
  if (ok)
    print("\n");
  else
    print(" # expected vector ", vector, " error ", hex(error), " got ", describe(fault).c_str(), "\n");
  return fault;
}

void exit(u8 code) {
  uart::drain();
  x86::outb(0xF4, code);
  x86::halt_for_ever();
}

void finish() {
  x86::cli();
  if (tests == 0) {
    ++failures;
    print("# no test ran\n");
  }
  print("1..", tests, "\n", failures == 0 ? "# passed\n" : "# failed\n");
  exit(failures == 0 ? 0 : 1);
}
}  // namespace tap
