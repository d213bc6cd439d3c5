// SPDX-License-Identifier: Apache-2.0
// Errors of the host tools: one sentence for a person, which says where, what, and the way out. OCTAVO_TRY hands them up.
#pragma once
#include <fmt/format.h>

#include <expected>
#include <string>

#include "lib/error.hpp"

namespace octavo::build {

struct Failure {
  std::string text;
  std::string key{};  ///< of the TOML file, where the text does not name file and line yet
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

template <class... Arguments>
[[nodiscard]] std::unexpected<Failure> failure(fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
  return std::unexpected(Failure{.text = fmt::format(pattern, std::forward<Arguments>(arguments)...)});
}

/// A failure whose reason a person finds at `key` of the TOML file.
template <class... Arguments>
[[nodiscard]] std::unexpected<Failure> failure_at(std::string key, fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
  return std::unexpected(Failure{fmt::format(pattern, std::forward<Arguments>(arguments)...), std::move(key)});
}

/// `outcome`, its failure pinned to `key`.
template <class T>
[[nodiscard]] Outcome<T> at(std::string key, Outcome<T> outcome) {
  if (!outcome) outcome.error().key = std::move(key);
  return outcome;
}
}  // namespace octavo::build
