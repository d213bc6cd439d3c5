// SPDX-License-Identifier: Apache-2.0
// L4: memory in a machine with stock Linux in it: populate on demand up to the target and beyond, and rounds of birth and end.
#include <fmt/format.h>

#include "tests/system/images.hpp"
#include "tests/system/live_machine.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

constexpr seconds k_limit{600};
constexpr std::uint64_t k_mib = 1 << 20;

Json domain_row(const LiveMachine& machine, const std::string& command, const std::string& rows) { return machine.ask({command})[rows][0]; }

std::uint64_t counter(const LiveMachine& machine, const std::string& domain, const std::string& group, const std::string& name) {
  const Json answer = machine.ask({"stats", domain});
  for (const Json& row : answer["counters"]) {
    if (row["group"] == group && row["counter"] == name) return row["value"];
  }
  fail_case("expected a counter " + group + " " + name);
}

/// 256M of 2G: boots; 900M of zeroes cost no more than the target; 400M of data wait for a higher one, and are whole after it.
void linux_beyond_its_target(const Bench& bench) {
  LiveMachine machine{bench, {linux_image(bench, "hog", "256M", "octavo=hog zeroes=900 hog=400 quiet", "maximum_memory = \"2G\"\n"), "--memory", "2G"}, k_limit};
  machine.wait_for("hog: populated on demand, 256 of 2048 MiB");
  machine.wait_for("octavo-hog: wrote 900 MiB of zeroes");
  const Json zeroes = domain_row(machine, "pod", "pod");
  expect(zeroes["populated_bytes"].get<std::uint64_t>() <= 256 * k_mib && zeroes["target_bytes"] == 256 * k_mib, "the target to be kept: " + zeroes.dump());
  expect(counter(machine, "hog", "pod", "reclaimed-zero") * 4096 >= 600 * k_mib, "zeroes to have been taken back");

  machine.wait_for("hog: out of memory at guest-physical");
  const Json waiting = domain_row(machine, "list", "domains");
  expect(waiting["state"] == "out of memory" && waiting["maximum_bytes"] == 2048 * k_mib, "a domain that waits: " + waiting.dump());
  const Json events = machine.ask({"events"})["events"];
  expect(events.size() == 2 && events[0]["event"] == "running" && events[1]["event"] == "out of memory", "two events: " + events.dump());
  const Json accounts = domain_row(machine, "pod", "pod");
  expect(accounts["populated_bytes"] == 256 * k_mib && accounts["cache_4k_bytes"] == 0, "all of the target to be in use: " + accounts.dump());
  expect(machine.ask({"audit"})["audits"][0]["clean"] == true, "a clean audit");
  (void)machine.connect({"resume", "hog"}).expect_status(1).expect_text("out of memory");
  const Json more = machine.ask({"target", "hog", "1G"})["targets"][0];
  expect(more["added_bytes"] == 768 * k_mib && more["pending_bytes"] == 0, "768 MiB more: " + more.dump());

  machine.wait_for("octavo-hog: PASS");
  machine.wait_for("hog: powered off");
  const int status = machine.wait();
  expect(status == 0, fmt::format("status 0, not {}", status));
}

/// Fifty times a stock kernel is started and, while it boots, ended: the machine's memory is what it was, to the frame and the gigabyte.
void rounds(const Bench& bench, const std::string& cpus) {
  // A machine whose last domain has gone ends, so one stays and sleeps.
  LiveMachine machine{bench, {build_waiting_guest(bench, "idle"), linux_image(bench, "round", "96M", "octavo=boot", "maximum_memory = \"512M\"\n"), "--memory", "1G", "--smp", cpus}, k_limit};
  constexpr const char* k_boots = "Linux version";
  constexpr std::size_t k_rounds = 50;
  machine.wait_for(k_boots);
  machine.destroy("round");
  const Json before = machine.ask({"mem"});
  expect(before["domains"].size() == 1, "one domain: " + before.dump());
  for (std::size_t round = 1; round <= k_rounds; ++round) {
    (void)machine.ask({"create", "round"});
    machine.wait_for(k_boots, round + 1);
    expect(counter(machine, "round", "faults", "populated") > 0, "memory to have come on demand");
    // Half of them end with a target that has just been raised, or lowered below what is in use.
    if (round % 4 == 1) (void)machine.ask({"target", "round", "300M"});
    if (round % 4 == 3) (void)machine.ask({"target", "round", "16M"});
    machine.destroy("round");
  }
  const Json after = machine.ask({"mem"});
  expect(after["machine"] == before["machine"] && after["domains"] == before["domains"], fmt::format("the same memory after {} rounds\n{}\n{}", k_rounds, before.dump(), after.dump()));
  (void)machine.connect({"shutdown"}).expect_status(0);
  expect(machine.wait() == 0, "status 0");
}
}  // namespace

void add_memory_cases(std::vector<Case>& cases) {
  cases.push_back({"memory/Linux, 256M of 2G, beyond its target", 4, linux_beyond_its_target});
  for (const char* cpus : {"1", "2", "4"}) {
    cases.push_back({fmt::format("memory/50 rounds of create and destroy, {} CPUs", cpus), 4, [cpus](const Bench& bench) { rounds(bench, cpus); }});
  }
}
}  // namespace octavo::system_test
