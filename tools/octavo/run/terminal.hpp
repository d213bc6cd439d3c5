// SPDX-License-Identifier: Apache-2.0
// The person's terminal in raw mode for the life of an object, so that every key reaches the guest. It is given back as it
// was on every way out, also through exit() and the signals that end `octavo run` (they are taken as events, see run.cpp).
#pragma once
#include <termios.h>

#include <optional>

namespace octavo::tool {

class RawTerminal {
 public:
  /// Does nothing when fd is not a terminal.
  explicit RawTerminal(int fd);
  ~RawTerminal() { restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  void restore();
  [[nodiscard]] bool is_raw() const { return before_.has_value(); }

 private:
  int fd_;
  std::optional<termios> before_;
};
}  // namespace octavo::tool
