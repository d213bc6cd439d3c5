// SPDX-License-Identifier: Apache-2.0
#include "domain/console.hpp"

#include "arch/x86/platform.hpp"

namespace octavo::domain {
namespace {
constinit ConsoleMux the_console;
}
ConsoleMux& console() { return the_console; }

void ConsoleMux::put(std::string_view text) {
  if (text.empty()) return;
  if (guest_in_line_ && !line_start_) arch::console_write("\r\n");
  guest_in_line_ = false;
  arch::console_write(text);
  line_start_ = text.back() == '\n';
}

void ConsoleMux::guest_output(std::string_view name, GuestLine& line, bool focused, u8 byte) {
  const char c = static_cast<char>(byte);
  if (focused) {
    if (!guest_in_line_ && !line_start_) arch::console_write("\r\n");
    arch::console_write_raw({&c, 1});
    line_start_ = c == '\n';
    guest_in_line_ = !line_start_;
    return;
  }
  if (c == '\r') return;
  // A terminal's control sequences are for the guest that has the screen to itself; another's could paint over everything.
  const bool control = (byte < 0x20 && c != '\t') || byte == 0x7F;
  if (c != '\n' && line.used < GuestLine::k_size) line.text[line.used++] = control ? '.' : c;
  if (c == '\n' || line.used == GuestLine::k_size) flush_guest_line(name, line);
}

void ConsoleMux::flush_guest_line(std::string_view name, GuestLine& line) {
  if (line.used == 0) return;
  format(*this, "{}| {}\n", name, std::string_view{line.text, line.used});
  line.used = 0;
}
}  // namespace octavo::domain
