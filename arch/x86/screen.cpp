// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/screen.hpp"

#include <algorithm>

#include "octavo_font.hpp"  // made at build time by boot/font/font.cpp

namespace octavo::arch {
namespace {
constexpr unsigned k_glyph_width = 8, k_glyph_height = 16;
constexpr u8 k_grey_on_black = 0x07;

/// The pixel with all of red, green and blue at 3/4.
u32 foreground(const Framebuffer& f) {
  const auto channel = [](ColorField field) { return field.bits == 0 ? 0 : static_cast<u32>(low_bits(field.bits) * 3 / 4) << field.position; };
  return channel(f.red) | channel(f.green) | channel(f.blue);
}
}  // namespace

bool Screen::attach(const Framebuffer& framebuffer, volatile void* memory) {
  format_ = framebuffer;
  memory_ = static_cast<volatile u8*>(memory);
  const bool is_text = framebuffer.kind == FramebufferKind::ega_text;
  const bool is_rgb = framebuffer.kind == FramebufferKind::rgb && (framebuffer.bits_per_pixel == 32 || framebuffer.bits_per_pixel == 24 || framebuffer.bits_per_pixel == 16);
  if (!is_text && !is_rgb) return false;
  columns_ = std::min(is_text ? framebuffer.width : framebuffer.width / k_glyph_width, k_max_columns);
  rows_ = std::min(is_text ? framebuffer.height : framebuffer.height / k_glyph_height, k_max_rows);
  if (columns_ == 0 || rows_ == 0) { columns_ = 0; return false; }
  for (unsigned row = 0; row < rows_; ++row) {
    for (unsigned column = 0; column < columns_; ++column) {
      cells_[row][column] = ' ';
      draw(row, column, ' ');
    }
  }
  row_ = column_ = 0;
  return true;
}

void Screen::put(char c) {
  if (!present()) return;
  if (c == '\n') return new_line();
  if (c == '\r') { column_ = 0; return; }
  if (c == '\b') { column_ -= column_ > 0 ? 1 : 0; return; }
  if (c == '\t') {
    do put(' '); while (column_ % 8 != 0);
    return;
  }
  if (column_ == columns_) new_line();
  set(row_, column_++, c >= ' ' && c <= '~' ? c : '?');
}

void Screen::new_line() {
  column_ = 0;
  if (row_ + 1 < rows_) { ++row_; return; }
  for (unsigned row = 0; row + 1 < rows_; ++row) {
    for (unsigned column = 0; column < columns_; ++column) set(row, column, cells_[row + 1][column]);
  }
  for (unsigned column = 0; column < columns_; ++column) set(row_, column, ' ');
}

void Screen::set(unsigned row, unsigned column, char c) {
  if (cells_[row][column] == c) return;
  cells_[row][column] = c;
  draw(row, column, c);
}

void Screen::draw(unsigned row, unsigned column, char c) {
  if (format_.kind == FramebufferKind::ega_text) {
    volatile u8* cell = memory_ + u64{row} * format_.pitch + u64{column} * 2;
    cell[0] = static_cast<u8>(c);
    cell[1] = k_grey_on_black;
    return;
  }
  const unsigned bytes = format_.bits_per_pixel / 8;
  const u32 ink = foreground(format_);
  const u8* glyph = k_font[static_cast<u8>(c) - ' '];
  for (unsigned y = 0; y < k_glyph_height; ++y) {
    volatile u8* pixel = memory_ + u64{row * k_glyph_height + y} * format_.pitch + u64{column} * k_glyph_width * bytes;
    for (unsigned x = 0; x < k_glyph_width; ++x, pixel += bytes) {
      const u32 color = (glyph[y] << x & 0x80) != 0 ? ink : 0;
      if (bytes == 4) {
        *reinterpret_cast<volatile u32*>(pixel) = color;
      } else {
        for (unsigned i = 0; i < bytes; ++i) pixel[i] = static_cast<u8>(color >> (8 * i));
      }
    }
  }
}
}  // namespace octavo::arch
