// SPDX-License-Identifier: Apache-2.0
// Operator commands: one line of words each. The prompt on the console is one user of execute(); an operator channel with
// JSON answers is to be another.
#pragma once
#include "domain/answer.hpp"

namespace octavo::domain {

/// Runs one command line and writes its whole answer. Bad input gets an answer that says what is wrong and changes nothing.
void execute(std::string_view line, Sink& sink, AnswerStyle style);

/// The prompt: keys in, lines out.
class Prompt {
 public:
  /// Shows the prompt, when the console's focus comes here.
  void show();
  void key(u8 byte);

 private:
  static constexpr usize k_size = 128;
  char line_[k_size] = {};
  usize used_ = 0;
};
}  // namespace octavo::domain
