// SPDX-License-Identifier: Apache-2.0
// Writes tables byte by byte, the way firmware does, for the parsers to read.
#pragma once
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "arch/x86/parse/bytes.hpp"

namespace octavo::test {
struct Builder {
  std::vector<u8> bytes;

  template <class T>
  Builder& put(T value) {
    const usize at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(&bytes[at], &value, sizeof value);
    return *this;
  }
  Builder& text(std::string_view text) { bytes.insert(bytes.end(), text.begin(), text.end()); return *this; }
  Builder& zeros(usize count) { bytes.resize(bytes.size() + count); return *this; }
  Builder& until(usize offset) { bytes.resize(offset); return *this; }
  template <class T>
  Builder& set(usize at, T value) { std::memcpy(&bytes[at], &value, sizeof value); return *this; }
  /// Makes the byte at `at` such that the first `size` bytes sum to zero.
  Builder& checksum(usize at, usize size) {
    bytes[at] = 0;
    bytes[at] = static_cast<u8>(-arch::byte_sum(arch::Bytes(bytes).first(size)));
    return *this;
  }
  [[nodiscard]] arch::Bytes view() const { return bytes; }
};

/// Exactly `size` bytes in memory of their own, so that the sanitizer sees a read beyond the end.
struct Cut {
  std::vector<u8> bytes;
  Cut(arch::Bytes whole, usize size) : bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)) { bytes.shrink_to_fit(); }
  [[nodiscard]] arch::Bytes view() const { return bytes; }
};
}  // namespace octavo::test
