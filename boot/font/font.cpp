// SPDX-License-Identifier: Apache-2.0
// Host program, part of the build: font input.pf2 output.hpp. Reads GRUB's font format and writes the 95 printable ASCII
// characters as 8x16 bitmaps. PF2 is a row of sections (4-byte name, big-endian length); CHIX indexes glyphs by code point,
// a glyph is width, height, x and y offset, advance (16 bits each) and its bits row after row without padding.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {
using Bytes = std::vector<unsigned char>;
constexpr int k_width = 8, k_height = 16, k_first = 0x20, k_last = 0x7e;

std::uint32_t number(const Bytes& bytes, std::size_t at, std::size_t size) {
  if (at > bytes.size() || bytes.size() - at < size) throw std::runtime_error("the font file is truncated");
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
  return value;
}
int signed16(const Bytes& bytes, std::size_t at) { return static_cast<std::int16_t>(number(bytes, at, 2)); }

struct Font {
  int ascent = 0;
  std::size_t index = 0, index_entries = 0;
};

Font read_sections(const Bytes& file) {
  constexpr std::uint32_t data_runs_to_the_end = 0xffffffff;
  Font font;
  for (std::size_t at = 0; at < file.size();) {
    const std::string name(file.begin() + static_cast<long>(at), file.begin() + static_cast<long>(at + 4));
    const std::uint32_t length = number(file, at + 4, 4);
    at += 8;
    if (name == "ASCE") font.ascent = static_cast<int>(number(file, at, 2));
    if (name == "CHIX") { font.index = at; font.index_entries = length / 9; }
    if (length == data_runs_to_the_end) break;
    at += length;
  }
  if (font.index_entries == 0 || font.ascent == 0) throw std::runtime_error("no PF2 font");
  return font;
}

using Glyph = std::uint8_t[k_height];

void draw_glyph(const Bytes& file, std::size_t at, int ascent, Glyph& rows) {
  const int width = static_cast<int>(number(file, at, 2)), height = static_cast<int>(number(file, at + 2, 2));
  const int left = signed16(file, at + 4), top = ascent - signed16(file, at + 6) - height;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int bit = y * width + x, column = left + x, row = top + y;
      const std::uint32_t byte = number(file, at + 10 + static_cast<std::size_t>(bit / 8), 1);
      if ((byte >> (7 - bit % 8) & 1) == 0 || column < 0 || column >= k_width || row < 0 || row >= k_height) continue;
      rows[row] = static_cast<std::uint8_t>(rows[row] | 0x80 >> column);
    }
  }
}
}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: font input.pf2 output.hpp");
  std::ifstream input(argv[1], std::ios::binary);
  if (!input) throw std::runtime_error(std::string("cannot read ") + argv[1]);
  const Bytes file{std::istreambuf_iterator<char>(input), {}};
  const Font font = read_sections(file);

  Glyph glyphs[k_last - k_first + 1] = {};
  int found = 0;
  for (std::size_t i = 0; i < font.index_entries; ++i) {
    const std::size_t at = font.index + i * 9;
    const std::uint32_t code = number(file, at, 4);
    if (code < k_first || code > k_last) continue;
    draw_glyph(file, number(file, at + 5, 4), font.ascent, glyphs[code - k_first]);
    ++found;
  }
  if (found != k_last - k_first + 1) throw std::runtime_error("the font lacks ASCII characters");

  std::ofstream output(argv[2]);
  output << "// made by boot/font/font.cpp; ' ' to '~', one byte a row, leftmost pixel in the highest bit\n"
            "inline constexpr unsigned char k_font[" << found << "][" << k_height << "] = {\n";
  for (const Glyph& glyph : glyphs) {
    output << "  {";
    for (const std::uint8_t row : glyph) output << int{row} << ',';
    output << "},\n";
  }
  output << "};\n";
  if (!output.flush()) throw std::runtime_error(std::string("cannot write ") + argv[2]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "font: %s\n", error.what());
  return 1;
}
