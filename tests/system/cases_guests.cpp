// SPDX-License-Identifier: Apache-2.0
// L3: each micro guest in a domain of its own. A guest reports in TAP; one that must die is in the table with the words that
// the hypervisor has for it, and the hypervisor has to go on.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tests/system/case.hpp"
#include "tests/system/images.hpp"

namespace octavo::system_test {
namespace {
namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds k_limit{180};

struct Death {
  std::string_view guest, words;
};
constexpr std::string_view k_hole = "stopped: access to guest-physical memory that does not exist";
constexpr Death k_deaths[] = {
    {"bad_cli_hlt", "stopped: halted with interrupts off"},
    {"bad_cr3_hole", k_hole},
    {"bad_hole", k_hole},
    {"bad_hole_write", k_hole},
    {"bad_idt", "stopped: triple fault"},
    {"bad_jump_hole", k_hole},
    {"bad_paging", k_hole},
    {"bad_triple_fault", "stopped: triple fault"},
};

/// The number behind `before` at the start of a line, or -1.
long number_after(std::string_view console, std::string_view before) {
  for (std::size_t at = 0; at < console.size(); at = std::min(console.find('\n', at), console.size()) + 1) {
    if (!console.substr(at).starts_with(before)) continue;
    long value = -1;
    std::from_chars(console.data() + at + before.size(), console.data() + console.size(), value);
    return value;
  }
  return -1;
}

long count_lines(std::string_view console, std::string_view start) {
  long count = 0;
  for (std::size_t at = 0; at < console.size(); at = std::min(console.find('\n', at), console.size()) + 1) {
    count += console.substr(at).starts_with(start);
  }
  return count;
}

/// A plan, and exactly so many `ok` lines and nothing else.
void expect_tap(const Ran& ran) {
  const long plan = number_after(ran.output, "1.."), good = count_lines(ran.output, "ok "), bad = count_lines(ran.output, "not ok ");
  if (plan <= 0) fail_case("expected a TAP plan 1..N; the guest gave none (see the log)");
  if (bad != 0) fail_case(fmt::format("{} of {} tests in the guest failed, the first: {}", bad, plan, ran.output.substr(ran.output.find("not ok "), 200)));
  if (good != plan) fail_case(fmt::format("expected {} `ok` lines as planned, counted {}", plan, good));
}

void live(const Bench& bench, const std::string& guest) {
  // Counted time: what a guest measures does not depend on how busy the host is.
  const Ran ran = bench.run({"--icount", build_guest(bench, guest)}, k_limit);
  expect_tap(ran);
  (void)ran.expect_status(0).expect_no_text("stopped:");
}

/// The same where 1G leaves are populated on demand, cut, and become whole again.
void populate_giants(const Bench& bench) {
  const std::string image = build_image(bench, "populate", fmt::format("memory = \"3G\"\nmaximum_memory = \"6G\"\nkernel = \"{}\"\nkind = \"multiboot\"\n",
                                                                       (bench.build() / "guests/populate.elf").string()));
  const Ran ran = bench.run({"--memory", "8G", image}, k_limit);
  expect_tap(ran);
  (void)ran.expect_status(0).expect_in_order({"populate: populated on demand, 3072 of 6144 MiB; claimed: 1G 3, 2M 0, 4K 0", "# leaves before: 4K 0, 2M 0, 1G 2",
                                              "# leaves with one frame gone: 4K 511, 2M 511, 1G 1", "# leaves after: 4K 0, 2M 0, 1G 2",
                                              "# leaves scattered: 4K 512, 2M 511, 1G 1", "# leaves gathered: 4K 0, 2M 0, 1G 2"});
}

void boot_by_pvh(const Bench& bench) {
  const std::string image = build_image(bench, "pvh", fmt::format("memory = \"16M\"\nkernel = \"{}\"\nkind = \"pvh\"\ncommand_line = \"pvh test\"\n",
                                                                  (bench.build() / "tests/system/pvh.elf").string()));
  (void)bench.run({image}, k_limit).expect_status(0).expect_in_order({"PVH guest: alive", "pvh: debug exit"}).expect_no_text("failure");
}

/// A million random exits on one side, and on the other a guest that does its work.
void storm_beside(const Bench& bench) {
  const std::string storm = build_guest(bench, "bad_exit_storm"), good = build_guest(bench, "populate");
  (void)bench.run({storm, good, "--until", "populate| # passed"}, k_limit).expect_status(0).expect_no_text("bad_exit_storm: debug exit").expect_no_text("not ok");
}

void die(const Bench& bench, const Death& death) {
  const std::string guest{death.guest};
  (void)bench.run({build_guest(bench, guest)}, k_limit)
      .expect_status(1)
      .expect_in_order({guest + ": " + std::string{death.words}, "rip", "last exits", "all guests have ended, and not all of them well"})
      .expect_no_text("not ok")
      .expect_no_text("went on after");
}

/// One dies, the other must not notice.
void die_beside(const Bench& bench) {
  const std::string bad = build_guest(bench, "bad_triple_fault"), good = build_good_guest(bench);
  (void)bench.run({bad, good}, k_limit)
      .expect_status(1)
      .expect_text("bad_triple_fault: stopped: triple fault")
      .expect_text(k_good_guest_text)  // as "good| …" or, if it has the console by then, as it is
      .expect_text("good: debug exit\n")
      .expect_text("all guests have ended, and not all of them well");
}

/// `guest` with another life cycle than the other cases have.
std::string build_policy(const Bench& bench, const std::string& guest, const std::string& policy) {
  return build_image(bench, guest, fmt::format("memory = \"64M\"\nkernel = \"{}\"\nkind = \"multiboot\"\n{}\n",
                                               (bench.build() / "guests" / (guest + ".elf")).string(), policy));
}

/// It comes up again and does the same again, until that is enough.
void restart(const Bench& bench, const std::string& guest, const std::string& policy, const std::string& end) {
  const Ran ran = bench.run({build_policy(bench, guest, policy)}, k_limit);
  constexpr long k_starts = 6;  // domain::Manager::k_most_restarts and the first
  std::vector<std::string> order;
  for (long i = 1; i <= k_starts; ++i) order.insert(order.end(), {fmt::format("{}: domain {} runs", guest, i), "1..1", guest + ": " + end});
  order.push_back(guest + ": not started again");
  (void)ran.expect_status(1).expect_in_order(order).expect_no_text(fmt::format("domain {} runs", k_starts + 1));
}

/// A crashed guest that is kept ends the run as one that is not, and its dump is there.
void preserve(const Bench& bench) {
  (void)bench.run({build_policy(bench, "bad_triple_fault", "on_crash = \"preserve\"")}, k_limit)
      .expect_status(1)
      .expect_in_order({"stopped: triple fault", "last exits", "all guests have ended"});
}

void no_console(const Bench& bench) {
  (void)bench.run({build_policy(bench, "hypercall", "console = \"none\"")}, k_limit)
      .expect_status(0)
      .expect_no_text("ok 1")
      .expect_text("hypercall: debug exit");
}

/// The operator's commands against a guest that never exits by itself.
void operate_on_running(const Bench& bench) {
  const std::string image = build_image(bench, "spin", fmt::format("memory = \"16M\"\nkernel = \"{}\"\nkind = \"multiboot\"\n",
                                                                   (bench.build() / "tests/system/spin.elf").string()));
  (void)bench.converse({image}, k_limit,
                       {{"S\n", "\x1d"},
                        {"Octavo's prompt", "pause spin\r"},
                        {"\nspin: paused", "vcpus\r"},
                        {"paused", "resume spin\r"},
                        {"\nspin: resumed", "pause nobody\r"},
                        {"no such domain", "destroy spin\r"},
                        {"\nspin: destroyed", ""}})
      .expect_status(0)
      .expect_text("spin: destroyed")
      .expect_text("all guests have ended");
}

/// What a panic leaves behind: which build, where, what the guests did last, and the command that shows it again.
void panic(const Bench& bench) {
  const std::string image = build_guest(bench, "bad_exit_storm");
  (void)bench.converse({image}, k_limit, {{"domain 1 runs", "\x1d"}, {"Octavo's prompt", "panic\r"}})
      .expect_status(3)
      .expect_in_order({"the operator asked for it", "octavo::domain::", "to see it again: octavo run --icount --memory", "bad_exit_storm.dom",
                        "domain bad_exit_storm:", "last exits"});
}
}  // namespace

void add_guest_cases(std::vector<Case>& cases, const fs::path& build) {
  std::vector<std::string> guests;
  std::error_code none_built;
  for (const auto& entry : fs::directory_iterator(build / "guests", none_built)) {
    if (entry.path().extension() == ".elf") guests.push_back(entry.path().stem().string());
  }
  std::sort(guests.begin(), guests.end());
  if (guests.empty()) {
    cases.push_back({"guest/there are some", 3, [](const Bench&) { fail_case("expected micro guests in build/guests: none was built"); }});
    return;
  }
  for (const std::string& guest : guests) {
    const auto death = std::find_if(std::begin(k_deaths), std::end(k_deaths), [&](const Death& one) { return one.guest == guest; });
    if (death != std::end(k_deaths)) cases.push_back({"guest/" + guest, 3, [death](const Bench& bench) { die(bench, *death); }});
    else cases.push_back({"guest/" + guest, 3, [guest](const Bench& bench) { live(bench, guest); }});
  }
  cases.push_back({"guest/populate, 3G of 6G", 3, populate_giants});
  cases.push_back({"guest/by PVH", 3, boot_by_pvh});
  cases.push_back({"guest/a storm of exits beside one that works", 3, storm_beside});
  cases.push_back({"guest/one dies beside another", 3, die_beside});
  cases.push_back({"guest/reset comes up again", 3, [](const Bench& bench) { restart(bench, "reset_kbd", "on_reboot = \"restart\"", "asked for a reset"); }});
  cases.push_back({"guest/crash is restarted, not for ever", 3, [](const Bench& bench) { restart(bench, "bad_triple_fault", "on_crash = \"restart\"", "crashed"); }});
  cases.push_back({"guest/crash is preserved", 3, preserve});
  cases.push_back({"guest/without a console", 3, no_console});
  cases.push_back({"guest/operator and a guest that spins", 3, operate_on_running});
  cases.push_back({"guest/a panic says what, where and how to see it again", 3, panic});
}
}  // namespace octavo::system_test
