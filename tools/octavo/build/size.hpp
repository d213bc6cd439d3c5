// SPDX-License-Identifier: Apache-2.0
// Sizes as people write them: 512M, 2G; K M G T are powers of 1024.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::build {

/// "2G" -> 2147483648, "4096" -> 4096; nothing for what is no size or does not fit in 64 bits.
[[nodiscard]] std::optional<u64> parse_size(std::string_view text);

/// The shortest exact form: 2147483648 -> "2G", 1000 -> "1000".
[[nodiscard]] std::string exact_size(u64 bytes);

/// For tables: "29.3M".
[[nodiscard]] std::string rounded_size(u64 bytes);
}  // namespace octavo::build
