// SPDX-License-Identifier: Apache-2.0
// Text on the screen that the boot loader left us: EGA text memory, or a linear framebuffer with 8x16 glyphs (made from GRUB's
// font when Octavo is built). Keeps its own copy of the text, because reading video memory back is slow; only cells
// that change are drawn. Callers serialize.
#pragma once
#include <span>

#include "arch/x86/parse/multiboot2.hpp"

namespace octavo::arch {
class Screen {
 public:
  /// Takes over the screen; `memory` is where framebuffer.base is mapped. False: a format that it does not know.
  bool attach(const Framebuffer& framebuffer, volatile void* memory);
  [[nodiscard]] bool present() const { return columns_ != 0; }
  /// The same screen at another address.
  void move(volatile void* memory) { memory_ = static_cast<volatile u8*>(memory); }
  void put(char c);

 private:
  static constexpr unsigned k_max_columns = 256, k_max_rows = 100;
  void new_line();
  void set(unsigned row, unsigned column, char c);
  void draw(unsigned row, unsigned column, char c);

  volatile u8* memory_ = nullptr;
  Framebuffer format_{};
  unsigned columns_ = 0, rows_ = 0, row_ = 0, column_ = 0;
  char cells_[k_max_rows][k_max_columns] = {};
};
}  // namespace octavo::arch
