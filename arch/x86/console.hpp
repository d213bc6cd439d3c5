// SPDX-License-Identifier: Apache-2.0
// The hypervisor's console: every byte goes to COM1 and to the screen, as far as they are there and wanted, and into a
// ring of the latest text, so that whoever comes later (a screen that is found late, an operator) can see it. No lock: the log
// holds its own around each line, a panic takes none. Lines end in \n; the wire gets \r\n.
#pragma once
#include "arch/x86/parse/multiboot2.hpp"
#include "lib/format.hpp"

namespace octavo::arch {

class Console final : public Sink {
 public:
  void put(std::string_view text) override;
  /// Bytes of a guest, passed on as they are (its \r\n are its own); not kept in the history.
  void put_raw(u8 byte);

  /// The latest text, oldest first, in two pieces.
  struct History {
    std::string_view older, newer;
  };
  [[nodiscard]] History history() const;

  void use_serial(bool wanted) { serial_ = wanted; }
  void use_screen(bool wanted) { screen_ = wanted; }
  /// Attaches the screen and shows there what has been said so far.
  void attach_screen(const Framebuffer& framebuffer, volatile void* memory);
  /// The framebuffer is now mapped here.
  void move_screen(volatile void* memory);
  [[nodiscard]] bool has_screen() const;

 private:
  static constexpr usize k_history = 16 * 1024;
  bool serial_ = true, screen_ = true;
  usize next_ = 0;
  bool wrapped_ = false;
  char history_[k_history] = {};
};

[[nodiscard]] Console& console();
}  // namespace octavo::arch
