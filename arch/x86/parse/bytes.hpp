// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers out of bytes that somebody else wrote, at any alignment; nothing is read beyond the span.
#pragma once
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::arch {
using Bytes = std::span<const u8>;

/// The T at offset `at`, or nothing if it does not lie inside.
template <class T>
[[nodiscard]] std::optional<T> read_at(Bytes bytes, u64 at) {
  if (!range_within(at, sizeof(T), bytes.size())) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// `size` bytes from `at`, or nothing.
[[nodiscard]] inline std::optional<Bytes> slice(Bytes bytes, u64 at, u64 size) {
  if (!range_within(at, size, bytes.size())) return std::nullopt;
  return bytes.subspan(at, size);
}

/// The text up to the first zero byte, or all of it.
[[nodiscard]] inline std::string_view text_in(Bytes bytes) {
  const std::string_view all{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  return all.substr(0, all.find('\0'));
}

/// The sum of all bytes modulo 256, with which ACPI and others protect tables.
[[nodiscard]] inline u8 byte_sum(Bytes bytes) {
  u8 sum = 0;
  for (const u8 byte : bytes) sum = static_cast<u8>(sum + byte);
  return sum;
}
}  // namespace octavo::arch
