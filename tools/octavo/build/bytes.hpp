// SPDX-License-Identifier: Apache-2.0
// Little-endian fields in byte buffers: checked where a file is read, growing where a structure is written.
#pragma once
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lib/int.hpp"

namespace octavo::build {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

/// The field at `offset`, or nothing where the bytes end before it does.
template <class T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> get(ByteView bytes, u64 offset) {
  if (!range_within(offset, sizeof(T), bytes.size())) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// bytes[offset, offset + size), or nothing where that lies outside.
[[nodiscard]] inline std::optional<ByteView> slice(ByteView bytes, u64 offset, u64 size) {
  if (!range_within(offset, size, bytes.size())) return std::nullopt;
  return bytes.subspan(offset, size);
}

/// Writes `value` at `offset`, growing the buffer with zeros where it is too short.
template <class T>
  requires std::is_trivially_copyable_v<T>
void put(Bytes& bytes, u64 offset, T value) {
  if (bytes.size() < offset + sizeof value) bytes.resize(offset + sizeof value);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

template <class T>
void append(Bytes& bytes, T value) { put(bytes, bytes.size(), value); }

inline void put_bytes(Bytes& bytes, u64 offset, ByteView value) {
  if (bytes.size() < offset + value.size()) bytes.resize(offset + value.size());
  if (!value.empty()) std::memcpy(bytes.data() + offset, value.data(), value.size());
}

[[nodiscard]] inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

inline void append_bytes(Bytes& bytes, ByteView value) { put_bytes(bytes, bytes.size(), value); }

/// `text` and a NUL.
inline void append_text(Bytes& bytes, std::string_view text) {
  append_bytes(bytes, as_bytes(text));
  append(bytes, '\0');
}
}  // namespace octavo::build
