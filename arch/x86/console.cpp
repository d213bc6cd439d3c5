// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/console.hpp"

#include "arch/x86/screen.hpp"
#include "arch/x86/uart.hpp"

namespace octavo::arch {
namespace {
constinit Console the_console;
constinit Screen the_screen;
}  // namespace

Console& console() { return the_console; }

void Console::put_raw(u8 byte) {
  if (serial_) com1().put(byte);
  if (screen_) the_screen.put(static_cast<char>(byte));
}

void Console::put(std::string_view text) {
  for (const char c : text) {
    history_[next_] = c;
    next_ = (next_ + 1) % k_history;
    wrapped_ |= next_ == 0;
    if (c == '\n' && serial_) com1().put('\r');
    put_raw(static_cast<u8>(c));
  }
}

Console::History Console::history() const {
  const std::string_view newer{history_, next_};
  if (!wrapped_) return {{}, newer};
  return {{history_ + next_, k_history - next_}, newer};
}

void Console::attach_screen(const Framebuffer& framebuffer, volatile void* memory) {
  if (!the_screen.attach(framebuffer, memory) || !screen_) return;
  for (const std::string_view text : {history().older, history().newer}) {
    for (const char c : text) the_screen.put(c);
  }
}

void Console::move_screen(volatile void* memory) { the_screen.move(memory); }
bool Console::has_screen() const { return the_screen.present(); }
}  // namespace octavo::arch
