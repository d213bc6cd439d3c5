// SPDX-License-Identifier: Apache-2.0
// The one console that everybody shares: the guests' serial ports, the hypervisor's log and its prompt. Ctrl-] moves the
// focus: guest, next guest, prompt, first guest. What is typed goes to the focus. The focused guest's bytes pass as they are;
// an unfocused guest is shown by whole lines, each with its name in front and a dot for each control byte.
// Used by the CPU that runs the main loop only.
#pragma once
#include <string_view>

#include "lib/format.hpp"

namespace octavo::domain {

/// One per domain: the line that an unfocused guest has begun.
class GuestLine {
 public:
  static constexpr usize k_size = 160;
  char text[k_size] = {};
  usize used = 0;
};

class ConsoleMux final : public Sink {
 public:
  /// Ctrl-], as in `virsh console`, `xl console` and telnet.
  static constexpr u8 k_switch_key = 0x1D;

  /// The hypervisor's text (log, prompt). Starts on a fresh line if a guest is in the middle of one.
  void put(std::string_view text) override;

  /// A byte from a guest's UART.
  void guest_output(std::string_view name, GuestLine& line, bool focused, u8 byte);
  /// The rest of an unfinished line, when the guest gets the focus or goes.
  void flush_guest_line(std::string_view name, GuestLine& line);

 private:
  bool line_start_ = true;
  bool guest_in_line_ = false;  ///< the unfinished line on the screen is a guest's
};

[[nodiscard]] ConsoleMux& console();
}  // namespace octavo::domain
