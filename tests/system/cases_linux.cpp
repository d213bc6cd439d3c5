// SPDX-License-Identifier: Apache-2.0
// L4: Debian's own kernel. The guest's verdict is tools/demo-guest/check's.
#include <fmt/format.h>

#include "tests/system/case.hpp"
#include "tests/system/images.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

constexpr seconds k_limit{600};

void check(const Bench& bench, Words words, const std::string& memory) {
  words.push_back(linux_image(bench, "linux", memory, "octavo=check"));
  (void)bench.run(words, k_limit).expect_text("octavo-check: PASS").expect_no_text("octavo-check: FAIL").expect_status(0).expect_text("linux: powered off");
}

void two_guests(const Bench& bench) {
  const std::string first = linux_image(bench, "first", "256M", "octavo=check quiet"), second = linux_image(bench, "second", "256M", "octavo=check quiet");
  const Ran ran = bench.run({first, second}, k_limit);
  const std::string_view verdict = "octavo-check: PASS";  // behind "first| " or, from the guest that has the console, alone
  const auto one = ran.output.find(verdict);
  if (one == std::string::npos || ran.output.find(verdict, one + verdict.size()) == std::string::npos) fail_case("expected PASS from both guests");
  (void)ran.expect_status(0)
      .expect_no_text("octavo-check: FAIL")
      .expect_text("first: powered off")
      .expect_text("second: powered off");
}

/// A person's way: the shell, the key that leads to the prompt and back, and poweroff.
void shell_and_prompt(const Bench& bench) {
  const std::string switch_key = "\x1d";  // Ctrl-]
  (void)bench.converse({linux_image(bench, "shell", "256M", "quiet")}, k_limit,
                       {{"octavo-guest:", "echo answer $((6 * 7))\r"},
                        {"answer 42", switch_key},
                        {"Octavo's prompt", "help\r"},
                        {"resume", "domains\r"},
                        {"shell", switch_key},
                        {"console: shell", "echo back $((7 * 8))\r"},
                        {"back 56", "poweroff\r"}})
      .expect_status(0)
      .expect_text("shell: powered off");
}
}  // namespace

void add_linux_cases(std::vector<Case>& cases) {
  cases.push_back({"linux/check, BIOS", 4, [](const Bench& bench) { check(bench, {}, "512M"); }});
  cases.push_back({"linux/check, UEFI", 4, [](const Bench& bench) { check(bench, {"--uefi"}, "512M"); }});
  cases.push_back({"linux/check, 2 CPUs in the machine", 4, [](const Bench& bench) { check(bench, {"--smp", "2"}, "128M"); }});
  cases.push_back({"linux/check, 4K pages only", 4, [](const Bench& bench) {
    (void)bench.run({linux_image(bench, "linux", "128M", "octavo=check", "page_sizes = [\"4K\"]\n")}, k_limit).expect_text("octavo-check: PASS").expect_status(0);
  }});
  cases.push_back({"linux/two guests", 4, two_guests});
  cases.push_back({"linux/shell, prompt, poweroff", 4, shell_and_prompt});
  cases.push_back({"linux/tools/demo --check", 4, [](const Bench& bench) {
    (void)bench.command({(bench.source() / "tools/demo").string(), "--check", "--no-build", "--guest-memory=256M"}, k_limit).expect_text("octavo-check: PASS").expect_status(0);
  }});
}
}  // namespace octavo::system_test
