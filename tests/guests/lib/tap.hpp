// SPDX-License-Identifier: Apache-2.0
// The Test Anything Protocol on COM1. `ok k - name`, `not ok k - name # expected … got …`, `ok k - name # SKIP why`,
// and last the plan `1..N`, `# passed` or `# failed`, and the verdict (0 or 1) on the debug-exit port.
#pragma once
#include "deviations.hpp"
#include "fault.hpp"

/// A number to be printed in hexadecimal.
struct Hex {
  u64 value;
};
constexpr Hex hex(u64 value) {
  return {value};
}

/// A short line put together from strings and numbers; what does not fit is cut.
class Text {
 public:
  template <typename... Parts>
  explicit Text(Parts... parts) {
    (append(parts), ...);
  }
  const char* c_str() const { return buffer_; }
  void append(const char* string);
  void append(Hex number);
  void append(char character);
  void append(unsigned long long number);
  void append(unsigned long number) { append(static_cast<unsigned long long>(number)); }
  void append(unsigned number) { append(static_cast<unsigned long long>(number)); }
  void append(int number);

 private:
  char buffer_[200]{};
  unsigned size_ = 0;
};

void print_string(const char* string);
template <typename... Parts>
void print(Parts... parts) {
  print_string(Text(parts...).c_str());
}

namespace tap {
/// One test. Returns what it was told.
bool check(bool holds, const char* name);
/// One test: got == expected, and both printed if not.
bool equal(u64 got, u64 expected, const char* name);
void skip(const char* name, const char* why);
/// One test of something that the emulator is known to do wrong: `right` passes, exactly `deviates` is reported as
/// skipped with the deviation's name, anything else fails.
void check_or(bool right, bool deviates, Deviation deviation, const char* name);
/// A fault as text for a failed test: "#14 error 0x2 address 0x…".
Text describe(const Fault& fault);
[[noreturn]] void finish();
/// Ends the guest with this code, without a word.
[[noreturn]] void exit(u8 code);

/// One test: f ends with exactly this exception. Returns the fault for further questions.
Fault expect(const Fault& fault, unsigned vector, const char* name);
Fault expect(const Fault& fault, unsigned vector, word error, const char* name);
}  // namespace tap

template <typename F>
Fault expect_fault(unsigned vector, const char* name, F&& function) {
  return tap::expect(attempt(function), vector, name);
}
template <typename F>
Fault expect_fault(unsigned vector, word error, const char* name, F&& function) {
  return tap::expect(attempt(function), vector, error, name);
}
template <typename F>
bool expect_no_fault(const char* name, F&& function) {
  return !tap::expect(attempt(function), k_no_fault, name);
}
template <typename F>
Fault expect_user_fault(unsigned vector, word error, const char* name, F&& function, word flags = 2) {
  return tap::expect(attempt_user(function, flags), vector, error, name);
}
