// SPDX-License-Identifier: Apache-2.0
// Operator commands: one line of words each, the same at the console's prompt (text) and on the operator channel (JSON).
// Used by the main loop's CPU.
#pragma once
#include "domain/answer.hpp"

namespace octavo::domain {

/// Runs one command line and writes its whole answer; nothing for a line without words. Bad input gets an answer that says
/// what is wrong and changes nothing.
void execute(std::string_view line, Sink& sink, AnswerStyle style, std::optional<u64> id = std::nullopt);

/// The operator wants the machine to end. The main loop sees to it once the answer is on its way.
enum class MachineEnd : u8 { none, panic, fault, overflow, reboot, shutdown };
void request_end(MachineEnd end);
[[nodiscard]] MachineEnd requested_end();

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
