// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/size.hpp"

#include <fmt/format.h>

#include <charconv>

namespace octavo::build {
namespace {
constexpr std::string_view k_units = "KMGT";
}

std::optional<u64> parse_size(std::string_view text) {
  u64 number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) return std::nullopt;
  if (rest == end) return number;
  const auto unit = k_units.find(*rest);
  if (unit == std::string_view::npos || rest + 1 != end) return std::nullopt;
  return checked_mul(number, u64{1} << (10 * (unit + 1)));
}

std::string exact_size(u64 bytes) {
  usize unit = 0;
  while (unit < k_units.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{}", bytes) : fmt::format("{}{}", bytes, k_units[unit - 1]);
}

std::string rounded_size(u64 bytes) {
  if (bytes < 1024) return fmt::format("{}", bytes);
  double value = static_cast<double>(bytes);
  usize unit = 0;
  while (unit < k_units.size() && value >= 1024) {
    value /= 1024;
    ++unit;
  }
  return bytes % (u64{1} << (10 * unit)) == 0 ? fmt::format("{:.0f}{}", value, k_units[unit - 1])
                                              : fmt::format("{:.1f}{}", value, k_units[unit - 1]);
}
}  // namespace octavo::build
