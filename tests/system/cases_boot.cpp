// SPDX-License-Identifier: Apache-2.0
// L2: the hypervisor alone comes up, chooses, explains itself, and never ends in a reset.
#include <fmt/format.h>

#include "tests/system/case.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

constexpr const char* k_chosen = "using nested paging (SVM NPT)";

void banner(const Bench& bench, bool uefi, unsigned cpus) {
  std::vector<std::string> said{"Octavo 0.", "processor:", "memory:", fmt::format("CPUs: {}", cpus)};
  if (cpus > 1) said.push_back(fmt::format("{} of {} CPUs are up and answer flush requests", cpus, cpus));
  said.push_back(k_chosen);
  Words words{"--smp", std::to_string(cpus), "--until", said.back()};
  if (uefi) words.push_back("--uefi");
  (void)bench.run(words, seconds{uefi ? 90 : 60}).expect_status(0).expect_in_order(said);
}

/// A machine that Octavo cannot use gets one sentence, and then nothing: no guest, no panic, no reset.
void refusal(const Bench& bench, const Words& words, std::string_view sentence) {
  (void)bench.run(words).expect_status(1).expect_in_order({"Octavo 0.", std::string{sentence}}).expect_no_text("reset or switched off").expect_no_text("using ");
}

/// Says something and goes on to the choice of the paging mode.
void remark(const Bench& bench, const std::string& options, std::string_view sentence) {
  (void)bench.run({"--options", options, "--until", k_chosen}).expect_status(0).expect_in_order({"Octavo 0.", std::string{sentence}, k_chosen});
}
}  // namespace

void add_boot_cases(std::vector<Case>& cases) {
  for (const bool uefi : {false, true}) {
    for (const unsigned cpus : {1u, 2u}) {
      cases.push_back({fmt::format("boot/{}, {} CPU{}", uefi ? "UEFI" : "BIOS", cpus, cpus == 1 ? "" : "s"), 2,
                       [=](const Bench& bench) { banner(bench, uefi, cpus); }});
    }
  }
  cases.push_back({"boot/a processor without SVM is told so", 2,
                   [](const Bench& bench) { refusal(bench, {"--cpu", "none"}, "This processor offers no SVM: enable AMD-V in the firmware setup"); }});
  cases.push_back({"boot/a processor without SVM is told so under UEFI", 2,
                   [](const Bench& bench) { refusal(bench, {"--cpu", "none", "--uefi"}, "This processor offers no SVM"); }});
  cases.push_back({"boot/an Intel processor without VMX is told so", 2,
                   [](const Bench& bench) { refusal(bench, {"--cpu", "Westmere"}, "This processor offers neither SVM nor VMX"); }});
  cases.push_back({"boot/SVM without nested paging is refused in a sentence", 2,
                   [](const Bench& bench) { refusal(bench, {"--cpu", "shadow"}, "shadow paging is not in this version"); }});
  cases.push_back({"boot/an unknown option is reported", 2, [](const Bench& bench) { remark(bench, "speed=11", "unknown option 'speed'"); }});
  cases.push_back({"boot/a wrong value of an option is reported", 2, [](const Bench& bench) { remark(bench, "loglevel=loud", "not 'loud'"); }});
  cases.push_back({"boot/loglevel=debug says more", 2, [](const Bench& bench) { remark(bench, "loglevel=debug", "RAM 0000"); }});
  cases.push_back({"boot/no domain image is a failure in a sentence", 2,
                   [](const Bench& bench) { (void)bench.run({}).expect_status(1).expect_in_order({k_chosen, "no domain image came with the hypervisor"}); }});
}
}  // namespace octavo::system_test
