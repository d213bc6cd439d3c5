// SPDX-License-Identifier: Apache-2.0
// The operator's commands, one function each, by what they are about: commands_machine.cpp, commands_domain.cpp,
// commands_memory.cpp. The table in operator.cpp names them; execute() has counted the words when a command sees them, and the
// rest of their checking is the command's. A refused command has changed nothing. Used by operator.cpp only.
#pragma once
#include <optional>
#include <span>

#include "domain/answer.hpp"
#include "domain/domain.hpp"

namespace octavo::domain {

/// [0] is the command's own name as it was typed.
using Words = std::span<const std::string_view>;

struct Command {
  std::string_view name;
  std::string_view arguments;  ///< "<needed> [not needed]"
  std::string_view help;
  void (*run)(Words words, Answer& answer);
};
[[nodiscard]] std::span<const Command> commands();

/// The domain that words[1] names; else null, and the answer says so.
[[nodiscard]] Domain* named_domain(Words words, Answer& answer);
/// Decimal, or hexadecimal behind 0x.
[[nodiscard]] std::optional<u64> parse_number(std::string_view text);
/// Bytes: a number, and K, M, G or T behind it for powers of 1024.
[[nodiscard]] std::optional<u64> parse_size(std::string_view text);

// commands_machine.cpp
void help(Words words, Answer& answer);
void version(Words words, Answer& answer);
void loglevel(Words words, Answer& answer);
void panic(Words words, Answer& answer);
void reboot(Words words, Answer& answer);
void shutdown(Words words, Answer& answer);

// commands_domain.cpp
void list(Words words, Answer& answer);
void events_since(Words words, Answer& answer);
void vcpus(Words words, Answer& answer);
void exits(Words words, Answer& answer);
void regs(Words words, Answer& answer);
void stats(Words words, Answer& answer);
void create(Words words, Answer& answer);
void pause(Words words, Answer& answer);
void resume(Words words, Answer& answer);
void destroy(Words words, Answer& answer);

// commands_memory.cpp
void mem(Words words, Answer& answer);
void p2m_leaves(Words words, Answer& answer);
void audit(Words words, Answer& answer);

// commands_pod.cpp
void pod(Words words, Answer& answer);
void target(Words words, Answer& answer);
}  // namespace octavo::domain
