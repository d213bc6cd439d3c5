// SPDX-License-Identifier: Apache-2.0
#include "domain/operator.hpp"

#include <array>

#include "arch/x86/platform.hpp"
#include "arch/x86/version.hpp"
#include "domain/console.hpp"
#include "domain/manager.hpp"
#include "lib/log.hpp"
#include "mm/machine.hpp"

namespace octavo::domain {
namespace {

using Words = std::span<const std::string_view>;

struct Command {
  std::string_view name;
  std::string_view arguments;
  std::string_view help;
  unsigned most_arguments;
  void (*run)(Words words, Answer& answer);
};

/// The domain that a command names, or an answer that says there is none.
Domain* named_domain(Words words, Answer& answer) {
  if (words.size() < 2) {
    answer.failed(words[0], "which domain? a name or an id, as `domains` lists them");
    return nullptr;
  }
  Domain* const domain = manager().find(words[1]);
  if (domain == nullptr) answer.failed(words[0], "no such domain; `domains` lists them");
  return domain;
}

void version(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("version");
  answer.begin_row();
  answer.field("version", arch::version());
  answer.field("git", arch::git_id());
  answer.end_row();
  answer.end_rows();
}

void domains(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("domains");
  manager().for_each([&](Domain& domain) {
    answer.begin_row();
    answer.field("name", domain.name());
    answer.field("id", static_cast<u64>(domain.id()));
    answer.field("state", to_string(domain.state()));
    answer.field_bytes("memory", domain.config().memory);
    answer.field("vcpus", u64{1});
    answer.field("exits", domain.vcpu().counters().total_exits());
    answer.end_row();
  });
  answer.end_rows();
}

void vcpus(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("vcpus");
  manager().for_each([&](Domain& domain) {
    const vcpu::Vcpu& v = domain.vcpu();
    answer.begin_row();
    answer.field("domain", domain.name());
    answer.field("vcpu", u64{0});
    answer.field("state", domain.state() != State::running ? to_string(domain.state()) : v.halted() ? "halted" : "running");
    answer.field_hex("rip", domain.vcpu().context().regs.rip);
    answer.field("interrupts", v.counters().injected_interrupts);
    answer.field("faults", v.counters().injected_exceptions);
    answer.end_row();
  });
  answer.end_rows();
}

/// Leaves of one size, whatever they map.
u64 leaves(const p2m::Statistics& statistics, unsigned level) {
  u64 sum = 0;
  for (const u64 n : statistics.leaves[level]) sum += n;
  return sum;
}

void mem(Words words, Answer& answer) {
  const mm::Machine::Statistics machine = mm::machine().statistics();
  answer.ok(words[0]);
  answer.begin_rows("machine");
  answer.begin_row();
  answer.field_bytes("total", machine.total_frames * k_page_size);
  answer.field_bytes("free", machine.free_frames() * k_page_size);
  answer.field("free-1g", machine.free_blocks[k_order_1g.value()]);
  u64 free_2m = 0;
  for (unsigned order = k_order_2m.value(); order < mm::k_orders; ++order) {
    free_2m += machine.free_blocks[order] << (order - k_order_2m.value());
  }
  answer.field("free-2m", free_2m);
  answer.end_row();
  answer.end_rows();
  answer.begin_rows("domains");
  manager().for_each([&](Domain& domain) {
    const p2m::Statistics s = domain.p2m().statistics();
    answer.begin_row();
    answer.field("domain", domain.name());
    answer.field("leaves-1g", leaves(s, 2));
    answer.field("leaves-2m", leaves(s, 1));
    answer.field("leaves-4k", leaves(s, 0));
    answer.field("tables", s.tables.used);
    answer.field("tables-max", s.tables.reserved);
    answer.end_row();
  });
  answer.end_rows();
}

void exits(Words words, Answer& answer) {
  Domain* const only = words.size() > 1 ? named_domain(words, answer) : nullptr;
  if (words.size() > 1 && only == nullptr) return;
  answer.ok(words[0]);
  answer.begin_rows("exits");
  manager().for_each([&](Domain& domain) {
    if (only != nullptr && only != &domain) return;
    for (unsigned kind = 0; kind < static_cast<unsigned>(arch::ExitKind::count); ++kind) {
      const u64 n = domain.vcpu().counters().exits[kind];
      if (n == 0) continue;
      answer.begin_row();
      answer.field("domain", domain.name());
      answer.field("reason", arch::to_string(static_cast<arch::ExitKind>(kind)));
      answer.field("exits", n);
      answer.end_row();
    }
  });
  answer.end_rows();
}

void regs(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  const arch::GuestContext& context = domain->vcpu().context();
  constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                   "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
  answer.ok(words[0]);
  answer.begin_rows("registers");
  const auto row = [&answer](const char* name, u64 value) {
    answer.begin_row();
    answer.field("register", name);
    answer.field_hex("value", value);
    answer.end_row();
  };
  for (unsigned i = 0; i < 16; ++i) row(names[i], context.regs.gpr[i]);
  row("rip", context.regs.rip);
  row("rflags", context.regs.rflags);
  const arch::ControlState control = context.control();
  row("cr0", control.cr0);
  row("cr2", control.cr2);
  row("cr3", control.cr3);
  row("cr4", control.cr4);
  row("efer", control.efer);
  answer.end_rows();
}

void loglevel(Words words, Answer& answer) {
  constexpr std::array<std::string_view, 4> names = {"error", "warning", "info", "debug"};
  if (words.size() > 1) {
    usize at = 0;
    while (at < names.size() && names[at] != words[1]) ++at;
    if (at == names.size()) return answer.failed(words[0], "error, warning, info or debug?");
    log::set_level(static_cast<log::Level>(at));
  }
  answer.ok(words[0]);
  answer.begin_rows("loglevel");
  answer.begin_row();
  answer.field("loglevel", names[static_cast<usize>(log::level())]);
  answer.end_row();
  answer.end_rows();
}

void pause(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  if (domain->state() != State::running) return answer.failed(words[0], "it is not running");
  domain->pause();
  answer.ok(words[0]);
  answer.note("paused");
}

void resume(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  if (domain->state() != State::paused) return answer.failed(words[0], "it is not paused");
  domain->resume();
  answer.ok(words[0]);
  answer.note("resumed");
}

void destroy(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  domain->end(Ending::destroyed);
  answer.ok(words[0]);
  answer.note("destroyed");
}

void reboot(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.finish();
  arch::reboot();
}

void shutdown(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.finish();
  if (arch::exit_is_wanted()) arch::exit_machine(manager().any_failed() ? arch::ExitCode::failed : arch::ExitCode::passed);
  arch::power_off();
}

void panic(Words, Answer&) { arch::panic("the operator asked for it"); }

void help(Words words, Answer& answer);

constexpr Command k_commands[] = {
    {"help", "", "this list", 0, help},
    {"version", "", "version and git id", 0, version},
    {"domains", "", "the domains and what they do", 0, domains},
    {"vcpus", "", "the virtual processors", 0, vcpus},
    {"mem", "", "machine memory, and each domain's by page size", 0, mem},
    {"exits", "[domain]", "how often guests left, by reason", 1, exits},
    {"regs", "<domain>", "registers of a domain's vCPU", 1, regs},
    {"loglevel", "[level]", "show or set: error, warning, info, debug", 1, loglevel},
    {"pause", "<domain>", "stop running it for now", 1, pause},
    {"resume", "<domain>", "let a paused domain go on", 1, resume},
    {"destroy", "<domain>", "end it at once and free its memory", 1, destroy},
    {"panic", "", "stop the machine with a dump, to see what that looks like", 0, panic},
    {"reboot", "", "reset the machine", 0, reboot},
    {"shutdown", "", "end all domains and switch the machine off", 0, shutdown},
};

void help(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("commands");
  for (const Command& command : k_commands) {
    answer.begin_row();
    answer.field("command", command.name);
    answer.field("arguments", command.arguments);
    answer.field("help", command.help);
    answer.end_row();
  }
  answer.end_rows();
  answer.note("Ctrl-] moves between the guests' consoles and this prompt.");
}
}  // namespace

void execute(std::string_view line, Sink& sink, AnswerStyle style) {
  std::array<std::string_view, 8> words;
  usize count = 0;
  while (true) {
    const usize begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    const usize end = line.find(' ');
    if (count < words.size()) words[count++] = line.substr(0, end);
    if (end == std::string_view::npos) break;
    line.remove_prefix(end);
  }
  if (count == 0) return;
  Answer answer{sink, style};
  const Command* found = nullptr;
  for (const Command& command : k_commands) {
    if (command.name == words[0]) found = &command;
  }
  if (found == nullptr) answer.failed(words[0], "no such command; `help` lists them");
  else if (count - 1 > found->most_arguments) answer.failed(words[0], "too many words; `help` says what it takes");
  else found->run({words.data(), count}, answer);
  answer.finish();
}

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
