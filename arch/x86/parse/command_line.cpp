// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/parse/command_line.hpp"

#include "lib/int.hpp"

namespace octavo::arch {
std::optional<CommandLineWord> next_word(std::string_view& line) {
  constexpr std::string_view blanks = " \t\r\n";
  const usize begin = line.find_first_not_of(blanks);
  if (begin == std::string_view::npos) { line = {}; return std::nullopt; }
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  const usize equals = word.find('=');
  if (equals == std::string_view::npos) return CommandLineWord{word, {}};
  return CommandLineWord{word.substr(0, equals), word.substr(equals + 1)};
}
}  // namespace octavo::arch
