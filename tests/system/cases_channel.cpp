// SPDX-License-Identifier: Apache-2.0
// L4: the operator channel. A machine with two guests, one asleep and one in a loop, to which `octavo --connect` speaks over the
// UNIX socket that QEMU has at COM2.
#include <fmt/format.h>
#include <unistd.h>

#include "tests/system/images.hpp"
#include "tests/system/live_machine.hpp"
#include "tools/octavo/connect/endpoint.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

/// It has not the console's focus, so its line comes whole.
constexpr const char* k_spin_is_up = "spin| S\n";

Words two_guests(const Bench& bench) { return {build_waiting_guest(bench, "idle"), build_waiting_guest(bench, "spin")}; }

std::string state_of(const Json& list, const std::string& name) {
  for (const Json& row : list["domains"]) {
    if (row["name"] == name) return row["state"];
  }
  return "none";
}

void expect_clean(const LiveMachine& machine, std::size_t domains) {
  const Json audits = machine.ask({"audit"})["audits"];
  expect(audits.size() == domains, fmt::format("{} audits: {}", domains, audits.dump()));
  for (const Json& one : audits) expect(one["clean"] == true && one["findings"] == 0, "a clean audit: " + one.dump());
}

/// The operator's day: look, pause, go on, end, make again; and nothing of the machine's memory is lost by it.
void operator_day(const Bench& bench, const Words& more) {
  Words words = two_guests(bench);
  words.insert(words.end(), more.begin(), more.end());
  LiveMachine machine{bench, words};
  machine.wait_for(k_spin_is_up);

  const Json list = machine.ask({"list"});
  expect(list["domains"].size() == 2 && list["domains"][0]["memory_bytes"] == 16 << 20, "two domains of 16 MiB: " + list.dump());
  expect(state_of(list, "idle") == "running" && state_of(list, "spin") == "running", "both running: " + list.dump());
  expect(machine.ask({"domains"})["domains"].size() == 2, "domains to be list");
  expect_clean(machine, 2);

  expect(machine.ask({"pause", "spin"})["message"] == "spin: paused", "a message");
  expect(state_of(machine.ask({"list"}), "spin") == "paused", "spin to be paused");
  (void)machine.connect({"pause", "spin"}).expect_status(1).expect_text("pause: it is not running");
  const auto exits_of_spin = [&machine] {
    const Json answer = machine.ask({"list"});
    for (const Json& row : answer["domains"]) {
      if (row["name"] == "spin") return row["exits"].get<std::uint64_t>();
    }
    return std::uint64_t{0};
  };
  const std::uint64_t paused_at = exits_of_spin();
  expect(exits_of_spin() == paused_at, "no exits of a paused domain");
  expect(machine.ask({"resume", "spin"})["message"] == "spin: resumed", "a message");
  // Each command's interrupt takes the CPU from the loop that spin is in.
  for (int i = 0; i < 100 && exits_of_spin() == paused_at; ++i) {}
  expect(exits_of_spin() > paused_at, "exits of a domain that runs");

  const Json leaves = machine.ask({"p2m", "idle"})["leaves"];
  std::uint64_t covered = 0;
  for (const Json& row : leaves) covered += row["covers_bytes"].get<std::uint64_t>();
  expect(covered == 16 << 20, "leaves that cover 16 MiB: " + leaves.dump());
  expect(machine.ask({"p2m", "idle", "0x200"})["translation"][0]["type"] == "ram_rw", "memory at 2 MiB");
  expect(!machine.ask({"stats", "spin"})["counters"].empty(), "counters");

  const Json before = machine.ask({"mem"});
  for (int round = 0; round < 10; ++round) {
    machine.destroy("spin");
    if (round == 0) {
      expect(state_of(machine.ask({"list"}), "spin") == "none", "spin to be gone");
      expect(machine.ask({"mem"})["machine"][0]["free_bytes"].get<std::uint64_t>() >= before["machine"][0]["free_bytes"].get<std::uint64_t>() + (16 << 20), "16 MiB to be back");
    }
    expect(machine.ask({"create", round % 2 == 0 ? "spin.dom" : "spin"})["message"] == "spin: created", "a message");
  }
  machine.wait_for(k_spin_is_up, 2);
  const Json after = machine.ask({"mem"});
  expect(after == [&] { Json same = before; same["id"] = after["id"]; return same; }(), fmt::format("the same memory after ten rounds\n{}\n{}", before.dump(), after.dump()));
  expect_clean(machine, 2);

  (void)machine.connect({"shutdown"}).expect_status(0).expect_text("the machine is switched off");
  const int status = machine.wait();
  expect(status == 0, fmt::format("status 0 after shutdown, not {}", status));
  expect(!std::filesystem::exists(machine.socket()), "the socket to be gone");
}

/// What people see, what is wrong, and what was on the line before.
void people_and_errors(const Bench& bench) {
  LiveMachine machine{bench, two_guests(bench)};
  machine.wait_for(k_spin_is_up);
  (void)machine.connect({"list"}).expect_status(0).expect_in_order({"name  id  state    memory  maximum  vcpus", "idle   1  running     16M      16M", "spin   2  running     16M      16M"}).expect_no_text("\033[");
  (void)machine.connect({"help"}).expect_status(0).expect_in_order({"create", "<image>", "destroy", "audit"});
  (void)machine.connect({"create", "nobody"}).expect_status(1).expect_text("create: no boot module has this file name");
  (void)machine.connect({"create", "idle"}).expect_status(1).expect_text("create: a domain named idle is there already");
  (void)machine.connect({"pause"}).expect_status(1).expect_text("it takes: pause <domain>");
  (void)machine.connect({"frobnicate", "--json"}).expect_status(1).expect_text("\"ok\":false");
  (void)machine.connect({}).expect_status(2);
  (void)bench.octavo({"--connect", machine.socket() + "x", "list"}).expect_status(3).expect_text("No such file or directory");
  {
    const auto line = tool::open_endpoint(machine.socket(), seconds{10});
    if (!line) fail_case(line.error());
    const std::string typed = std::string(700, 'x') + "\nlist\r\ndestroy idl";  // and goes away in the middle of a word
    expect(write(line->get(), typed.data(), typed.size()) == static_cast<ssize_t>(typed.size()), "the socket to take it");
  }
  expect(state_of(machine.ask({"list"}), "idle") == "running", "idle to be there");
  (void)machine.connect({"shutdown"}).expect_status(0);
  expect(machine.wait() == 0, "status 0");
}

void not_wanted(const Bench& bench) {
  LiveMachine machine{bench, {build_waiting_guest(bench, "idle"), "--options", "channel=none"}};
  machine.wait_for(k_idle_guest_text);
  (void)bench.octavo({"--connect", machine.socket(), "--timeout", "3", "list"}).expect_status(3).expect_text("no answer within 3 s");
}
}  // namespace

void add_channel_cases(std::vector<Case>& cases) {
  cases.push_back({"channel/an operator's day", 4, [](const Bench& bench) { operator_day(bench, {}); }});
  cases.push_back({"channel/an operator's day, 2 CPUs, UEFI", 4, [](const Bench& bench) { operator_day(bench, {"--smp", "2", "--uefi"}); }});
  cases.push_back({"channel/an operator's day, polled (no ACPI)", 4, [](const Bench& bench) { operator_day(bench, {"--", "-no-acpi"}); }});
  cases.push_back({"channel/people, errors, leftovers", 4, people_and_errors});
  cases.push_back({"channel/none", 4, not_wanted});
  cases.push_back({"channel/octavo run refuses a path that is a file", 2, [](const Bench& bench) {
    const std::string path = build_waiting_guest(bench, "idle");
    (void)bench.run({"--channel", path, path}).expect_status(2).expect_text("is there already and is no socket");
    expect(tool::read_file(path, 4).value_or("") == "\xd0\x0d\xfe\xed", "the file to be unchanged");
  }});
}
}  // namespace octavo::system_test
