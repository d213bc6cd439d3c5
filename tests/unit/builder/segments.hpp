// SPDX-License-Identifier: Apache-2.0
// Guest-physical memory as a test sees it: through the segments that a loader placed.
#pragma once
#include <algorithm>
#include <stdexcept>

#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::test {

/// The first segment of this label.
[[nodiscard]] inline const build::Segment& segment(const build::GuestMemory& memory, std::string_view label) {
  const auto found = std::ranges::find(memory.segments(), label, &build::Segment::label);
  if (found == memory.segments().end()) throw std::logic_error{"no segment " + std::string{label}};
  return *found;
}

/// The value at `gpa`, which must lie in a segment; zero beyond its data.
template <class T>
[[nodiscard]] T read(const build::GuestMemory& memory, u64 gpa) {
  for (const build::Segment& s : memory.segments()) {
    if (gpa < s.gpa || !range_within(gpa - s.gpa, sizeof(T), s.memory_size)) continue;
    return build::get<T>(s.data, gpa - s.gpa).value_or(T{});
  }
  throw std::logic_error{"no segment holds " + std::to_string(gpa)};
}

[[nodiscard]] inline std::string read_text(const build::GuestMemory& memory, u64 gpa) {
  std::string text;
  while (const char c = read<char>(memory, gpa++)) text += c;
  return text;
}
}  // namespace octavo::test
