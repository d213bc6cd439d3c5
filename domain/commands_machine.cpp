// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "arch/x86/version.hpp"
#include "domain/commands.hpp"
#include "domain/operator.hpp"
#include "lib/log.hpp"

namespace octavo::domain {

void help(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("commands");
  for (const Command& command : commands()) {
    answer.begin_row();
    answer.field("command", command.name);
    answer.field("arguments", command.arguments);
    answer.field("help", command.help);
    answer.end_row();
  }
  answer.end_rows();
  answer.note("Ctrl-] moves between the guests' consoles and this prompt.");
}

void version(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("versions");
  answer.begin_row();
  answer.field("version", arch::version());
  answer.field("git", arch::git_id());
  answer.end_row();
  answer.end_rows();
}

void loglevel(Words words, Answer& answer) {
  constexpr std::array<std::string_view, 4> names = {"error", "warning", "info", "debug"};
  if (words.size() > 1) {
    usize at = 0;
    while (at < names.size() && names[at] != words[1]) ++at;
    if (at == names.size()) return answer.failed(words[0], "it takes: error, warning, info or debug");
    log::set_level(static_cast<log::Level>(at));
  }
  answer.ok(words[0]);
  answer.begin_rows("levels");
  answer.begin_row();
  answer.field("loglevel", names[static_cast<usize>(log::level())]);
  answer.end_row();
  answer.end_rows();
}

void panic(Words words, Answer& answer) {
  const std::string_view how = words.size() > 1 ? words[1] : "";
  if (!how.empty() && how != "fault" && how != "stack") return answer.failed(words[0], "it takes: fault or stack, or nothing");
  request_end(how == "fault" ? MachineEnd::fault : how == "stack" ? MachineEnd::overflow : MachineEnd::panic);
  answer.ok(words[0]);
  answer.message("the machine stops with a dump");
}

void reboot(Words words, Answer& answer) {
  request_end(MachineEnd::reboot);
  answer.ok(words[0]);
  answer.message("the machine is reset");
}

void shutdown(Words words, Answer& answer) {
  request_end(MachineEnd::shutdown);
  answer.ok(words[0]);
  answer.message("the machine is switched off");
}
}  // namespace octavo::domain
