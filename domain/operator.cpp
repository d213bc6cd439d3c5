// SPDX-License-Identifier: Apache-2.0
#include "domain/operator.hpp"

#include <algorithm>
#include <array>

#include "domain/commands.hpp"
#include "domain/console.hpp"
#include "domain/manager.hpp"

namespace octavo::domain {
namespace {

constexpr Command k_commands[] = {
    {"help", "", "this list", help},
    {"version", "", "version and git id", version},
    {"list", "", "the domains and what they do", list},
    {"domains", "", "the same as list", list},
    {"events", "[number]", "what happened to domains lately, or since the event of that number", events_since},
    {"create", "<image>", "start a domain from a boot module (its file or domain name)", create},
    {"destroy", "<domain>", "end it at once and free its memory", destroy},
    {"pause", "<domain>", "stop running it for now", pause},
    {"resume", "<domain>", "let a paused domain go on", resume},
    {"mem", "[domain]", "machine memory, and domains' by page size", mem},
    {"p2m", "<domain> [gfn]", "what its guest-physical memory is made of, or one frame", p2m_leaves},
    {"pod", "[domain]", "populate on demand: what is populated, cached, marked, pending", pod},
    {"target", "<domain> <size>", "set how much memory it may use, up to its maximum: 512M, 2G", target},
    {"audit", "[domain]", "check its nested page tables and their accounts", audit},
    {"stats", "<domain>", "all its counters", stats},
    {"exits", "[domain]", "how often guests left, by reason", exits},
    {"vcpus", "", "the virtual processors", vcpus},
    {"regs", "<domain>", "registers of a domain's vCPU", regs},
    {"loglevel", "[level]", "show or set: error, warning, info, debug", loglevel},
    {"panic", "", "stop the machine with a dump, to see what that looks like", panic},
    {"reboot", "", "reset the machine", reboot},
    {"shutdown", "", "end all domains and switch the machine off", shutdown},
};

constexpr usize k_most_words = 8;

consteval bool fit_in_words() {
  for (const Command& command : k_commands) {
    if (std::ranges::count(command.arguments, '<') + std::ranges::count(command.arguments, '[') + 1 > static_cast<long>(k_most_words)) return false;
  }
  return true;
}
static_assert(fit_in_words());

constinit MachineEnd end_of_machine = MachineEnd::none;

/// Does the command take so many words behind its name? Its own description tells.
bool takes(const Command& command, usize arguments) {
  const auto needed = static_cast<usize>(std::ranges::count(command.arguments, '<'));
  const auto optional = static_cast<usize>(std::ranges::count(command.arguments, '['));
  return arguments >= needed && arguments <= needed + optional;
}

void refuse_words(const Command& command, Answer& answer) {
  char text[80];
  BufferSink why{text};
  if (command.arguments.empty()) format(why, "it takes no arguments");
  else format(why, "it takes: {} {}", command.name, command.arguments);
  answer.failed(command.name, why.view());
}
}  // namespace

std::span<const Command> commands() { return k_commands; }

Domain* named_domain(Words words, Answer& answer) {
  Domain* const domain = manager().find(words[1]);
  if (domain == nullptr) answer.failed(words[0], "no such domain; `list` shows their names and ids");
  return domain;
}

std::optional<u64> parse_number(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  if (text.empty()) return std::nullopt;
  u64 number = 0;
  for (const char c : text) {
    u64 digit = 16;
    if (c >= '0' && c <= '9') digit = static_cast<u64>(c - '0');
    else if (hexadecimal && (c | 0x20) >= 'a' && (c | 0x20) <= 'f') digit = static_cast<u64>((c | 0x20) - 'a') + 10;
    if (digit == 16) return std::nullopt;
    if (__builtin_mul_overflow(number, hexadecimal ? u64{16} : u64{10}, &number) || __builtin_add_overflow(number, digit, &number)) return std::nullopt;
  }
  return number;
}

std::optional<u64> parse_size(std::string_view text) {
  constexpr std::string_view units = "KMGT";
  const usize unit = text.empty() ? std::string_view::npos : units.find(text.back());
  if (unit == std::string_view::npos) return parse_number(text);
  text.remove_suffix(1);
  std::optional<u64> number = parse_number(text);
  if (!number || __builtin_mul_overflow(*number, u64{1024} << unit * 10, &*number)) return std::nullopt;
  return number;
}

void execute(std::string_view line, Sink& sink, AnswerStyle style, std::optional<u64> id) {
  std::array<std::string_view, k_most_words + 1> words;  // one more than any command has is too many
  usize count = 0;
  while (count < words.size()) {
    const usize begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    const usize end = std::min(line.find(' '), line.size());
    words[count++] = line.substr(0, end);
    line.remove_prefix(end);
  }
  if (count == 0) return;
  Answer answer{sink, style, id};
  const auto found = std::ranges::find(k_commands, words[0], &Command::name);
  if (found == std::end(k_commands)) answer.failed(words[0], "no such command; `help` lists them");
  else if (!takes(*found, count - 1)) refuse_words(*found, answer);
  else found->run({words.data(), count}, answer);
  answer.finish();
}

void request_end(MachineEnd end) { end_of_machine = end; }
MachineEnd requested_end() { return end_of_machine; }

void Prompt::show() {
  console().put("octavo> ");
  console().put({line_, used_});
}

void Prompt::key(u8 byte) {
  ConsoleMux& out = console();
  if (byte == '\r' || byte == '\n') {
    out.put("\n");
    execute({line_, used_}, out, AnswerStyle::text);
    used_ = 0;
    return show();
  }
  if ((byte == 0x7F || byte == 0x08) && used_ > 0) {
    --used_;
    return out.put("\b \b");
  }
  if (byte == 0x15) {  // Ctrl-U
    while (used_ > 0) {
      --used_;
      out.put("\b \b");
    }
    return;
  }
  if (byte < 0x20 || byte >= 0x7F || used_ == k_size) return;
  line_[used_++] = static_cast<char>(byte);
  out.put({&line_[used_ - 1], 1});
}
}  // namespace octavo::domain
