// SPDX-License-Identifier: Apache-2.0
// Errors of the host tool are sentences for people. Functions return Outcome<T>; OCTAVO_TRY hands the sentence up, and only
// a verb prints it. Nothing below a verb prints an error or ends the process.
#pragma once
#include <expected>
#include <string>

#include "lib/error.hpp"

namespace octavo::tool {

template <class T = void>
using Outcome = std::expected<T, std::string>;

[[nodiscard]] inline std::unexpected<std::string> complain(std::string sentence) {
  return std::unexpected<std::string>(std::move(sentence));
}
}  // namespace octavo::tool
