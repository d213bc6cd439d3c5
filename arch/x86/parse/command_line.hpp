// SPDX-License-Identifier: Apache-2.0
// The hypervisor's command line: words between spaces, each `name` or `name=value`.
#pragma once
#include <optional>
#include <string_view>

namespace octavo::arch {
struct CommandLineWord {
  std::string_view name, value;  ///< value is empty if there is none
};
/// The next word, taken off the front of `line`; nothing at its end.
[[nodiscard]] std::optional<CommandLineWord> next_word(std::string_view& line);
}  // namespace octavo::arch
