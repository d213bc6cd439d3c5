// SPDX-License-Identifier: Apache-2.0
#include "domain/commands.hpp"
#include "domain/events.hpp"
#include "domain/manager.hpp"

namespace octavo::domain {
namespace {

/// "web: paused"
void say(Answer& answer, Words words, std::string_view domain, std::string_view what) {
  char text[OCTAVO_IMAGE_MAX_NAME + 32];
  BufferSink message{text};
  format(message, "{}: {}", domain, what);
  answer.ok(words[0]);
  answer.message(message.view());
}

constexpr const char* k_level_names[] = {"4k", "2m", "1g"};
static_assert(std::size(k_level_names) == p2m::k_leaf_levels);

const char* split_name(unsigned cause) {
  switch (static_cast<p2m::SplitCause>(cause)) {
    case p2m::SplitCause::set: return "set";
    case p2m::SplitCause::unmap: return "unmap";
    case p2m::SplitCause::change_type: return "change-type";
    case p2m::SplitCause::take_out: return "take-out";
    case p2m::SplitCause::count_: break;
  }
  return "?";
}
}  // namespace

void list(Words words, Answer& answer) {
  answer.ok(words[0]);
  answer.begin_rows("domains");
  manager().for_each([&](Domain& domain) {
    answer.begin_row();
    answer.field("name", domain.name());
    answer.field("id", static_cast<u64>(domain.id()));
    answer.field("state", to_string(domain.state()));
    answer.field_bytes("memory", domain.pod().accounts().target << k_page_shift);
    answer.field_bytes("maximum", domain.config().maximum_memory);
    answer.field("vcpus", u64{1});
    answer.field("exits", domain.vcpu().counters().total_exits());
    answer.field("image", manager().boot().modules[domain.module()].name);
    answer.end_row();
  });
  answer.end_rows();
}

void events_since(Words words, Answer& answer) {
  const std::optional<u64> since = words.size() > 1 ? parse_number(words[1]) : u64{0};
  if (!since) return answer.failed(words[0], "an event's number is decimal, or hexadecimal behind 0x");
  answer.ok(words[0]);
  answer.begin_rows("events");
  events().for_each_since(*since, [&answer](const Events::Event& event) {
    answer.begin_row();
    answer.field("number", event.number);
    answer.field("uptime_ms", event.uptime_ms);
    answer.field("domain", std::string_view{event.domain});
    answer.field("event", event.what);
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

void stats(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  const vcpu::VcpuCounters& vcpu = domain->vcpu().counters();
  const p2m::Statistics p2m = domain->p2m().statistics();
  answer.ok(words[0]);
  answer.begin_rows("counters");
  const auto row = [&answer](const char* group, std::string_view counter, u64 value) {
    answer.begin_row();
    answer.field("group", group);
    answer.field("counter", counter);
    answer.field("value", value);
    answer.end_row();
  };
  row("exits", "total", vcpu.total_exits());
  for (unsigned kind = 0; kind < static_cast<unsigned>(arch::ExitKind::count); ++kind) {
    row("exits", arch::to_string(static_cast<arch::ExitKind>(kind)), vcpu.exits[kind]);
  }
  row("injected", "interrupts", vcpu.injected_interrupts);
  row("injected", "exceptions", vcpu.injected_exceptions);
  row("injected", "windows", vcpu.interrupt_windows);
  row("hypercalls", "unknown", domain->unknown_hypercalls());
  row("ports", "unknown", domain->board().counters().ports.unknown());
  const MemoryFaults& faults = domain->memory_faults();
  for (const auto& [counter, value] : {std::pair{"populated", faults.populated}, {"searched", faults.searched}, {"out-of-memory", faults.out_of_memory},
                                       {"in-transit", faults.in_transit}, {"permitted", faults.permitted}, {"refused", faults.refused}}) {
    row("faults", counter, value);
  }
  const pod::Statistics pod = domain->pod().statistics();
  for (unsigned level = p2m::k_leaf_levels; level-- > 0;) row("populates", k_level_names[level], pod.populates[level]);
  for (const auto& [counter, value] : {std::pair{"fallbacks", pod.fallbacks}, {"searches", pod.searches}, {"reclaimed-unwritten", pod.reclaimed_unwritten},
                                       {"reclaimed-zero", pod.reclaimed_zero}, {"restored", pod.restored}}) {
    row("pod", counter, value);
  }
  constexpr const char* level_groups[] = {"leaves-4k", "leaves-2m", "leaves-1g"};
  static_assert(std::size(level_groups) == p2m::k_leaf_levels);
  for (unsigned level = p2m::k_leaf_levels; level-- > 0;) {
    for (unsigned type = 0; type < p2m::k_types; ++type) {
      if (static_cast<p2m::Type>(type) == p2m::Type::invalid) continue;  // not counted
      row(level_groups[level], p2m::to_string(static_cast<p2m::Type>(type)), p2m.leaves[level][type]);
    }
  }
  for (unsigned cause = 0; cause < p2m::k_split_causes; ++cause) row("splits", split_name(cause), p2m.splits[cause]);
  for (unsigned level = p2m::k_leaf_levels; level-- > 1;) row("promotions", k_level_names[level], p2m.promotions[level]);
  for (unsigned level = p2m::k_leaf_levels; level-- > 1;) row("by-copying", k_level_names[level], p2m.copied[level]);
  row("p2m", "collapses", p2m.collapses);
  row("p2m", "push-downs", p2m.push_downs);
  row("p2m", "in-transit", p2m.frames_in_transit);
  row("p2m", "flushes", p2m.flushes);
  row("tables", "used", p2m.tables.used);
  row("tables", "peak", p2m.tables.peak);
  row("tables", "reserved", p2m.tables.reserved);
  answer.end_rows();
}

void create(Words words, Answer& answer) {
  const std::optional<usize> module = manager().find_module(words[1]);
  if (!module) return answer.failed(words[0], "no boot module has this file name, or holds a domain of this name");
  const Result<Domain*> made = manager().create(*module);
  if (!made) return answer.failed(words[0], manager().why_not());
  say(answer, words, (*made)->name(), "created");
}

void pause(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  if (domain->state() != State::running) return answer.failed(words[0], "it is not running");
  domain->pause();
  say(answer, words, domain->name(), "paused");
}

void resume(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  if (domain->state() == State::out_of_memory) return answer.failed(words[0], "it is out of memory; `target` gives it more");
  if (domain->state() != State::paused) return answer.failed(words[0], "it is not paused");
  domain->resume();
  say(answer, words, domain->name(), "resumed");
}

void destroy(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  domain->end(Ending::destroyed);
  say(answer, words, domain->name(), "destroyed");
}
}  // namespace octavo::domain
