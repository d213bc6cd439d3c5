// SPDX-License-Identifier: Apache-2.0
// A small domain image that is right in every respect, written with libfdt alone (not by the builder), and the means to spoil
// it: one property at a time.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/int.hpp"

namespace octavo::test {

using Bytes = std::vector<std::byte>;

inline constexpr u64 k_sample_data_begin = 0x2000;  ///< the tree has room to grow up to here
inline constexpr u64 k_sample_size = 0x5000;

/// protected32, two ranges, three segments: 0x1000 "gdt" (0x20 bytes), 0x100000 "kernel" (0x1800 of 0x3000 bytes),
/// 0x100000000 "bss" (no data).
[[nodiscard]] Bytes sample_image();

/// The same in long64, page tables at 0x2000.
[[nodiscard]] Bytes sample_image64();

/// Big-endian cells.
[[nodiscard]] Bytes cell(u32 value);
[[nodiscard]] Bytes cells(u64 value);
/// With its NUL.
[[nodiscard]] Bytes text(std::string_view value);

/// `image` with a property set (created where it is missing), or deleted for nothing.
[[nodiscard]] Bytes with_property(const Bytes& image, const char* node, const char* property, const std::optional<Bytes>& value);
/// `image` with an empty node added in front of `parent`'s others.
[[nodiscard]] Bytes with_node(const Bytes& image, const char* parent, const char* name);
[[nodiscard]] Bytes without_node(const Bytes& image, const char* node);
[[nodiscard]] Bytes with_node_name(const Bytes& image, const char* node, const char* name);

/// What check_image says, or "" if it accepts.
[[nodiscard]] std::string verdict(const Bytes& image);
}  // namespace octavo::test
