// SPDX-License-Identifier: Apache-2.0
// Bochs as a second opinion: what QEMU's TCG does not have (x2APIC, the TSC-deadline timer, next RIP, decode assists), and all the rest by
// another implementation of SVM and nested paging, written by other people.
#include <fmt/format.h>

#include "tests/system/bochs.hpp"
#include "tests/system/images.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

constexpr const char* k_amd = "ryzen";

/// The hypervisor refuses VMX, but it has brought up the machine before.
void x2apic(const Bench& bench, const std::string& option, const std::string& mode) {
  const Ran ran = run_in_bochs(bench, {.model = "corei7_skylake_x", .cpus = 4, .options = option}, {}, {"This processor has VMX, and VMX is not in this version"}, seconds{240});
  (void)ran.expect_in_order({"Octavo 0.", "timer: TSC deadline", fmt::format("4 of 4 CPUs are up and answer flush requests ({})", mode)});
}

/// Side by side in one machine, so that its firmware and GRUB are waited for once. Not here, for what this emulator does (docs/emulators.md):
/// exceptions, exceptions32 and bad_random, which single-step; port_io, which looks at CR2; bad_vmrun; and interrupts, which takes minutes.
void micro_guests(const Bench& bench) {
  const std::vector<std::string> guests{"hypercall", "cpuid", "msr", "control_registers", "fpu", "paging_modes32", "paging_modes64", "memory", "populate", "kvmclock",
                                        "bad_exit_storm", "bad_efer"};
  Words images;
  std::vector<std::string> until;
  for (const std::string& guest : guests) {
    images.push_back(build_guest(bench, guest));
    until.push_back(guest + ": debug exit");
  }
  const Ran ran = run_in_bochs(bench, {.model = k_amd, .memory_mib = 1536}, images, until, seconds{600});
  (void)ran.expect_no_text("not ok ").expect_no_text("# failed").expect_no_text("stopped:");
  std::size_t passed = 0;
  for (std::size_t at = 0; (at = ran.output.find("# passed", at)) != std::string::npos; ++at) ++passed;
  if (passed != guests.size()) fail_case(fmt::format("expected \"# passed\" from {} guests, got {}", guests.size(), passed));
}

void check(const Bench& bench) {
  const std::string image = linux_image(bench, "linux", "128M", "octavo=check octavo.parts=2 mitigations=off");  // that processor model has a flaw of which Linux warns
  (void)run_in_bochs(bench, {.model = k_amd, .cpus = 2}, {image}, {"linux: powered off"}, seconds{600}).expect_text("octavo-check: PASS").expect_no_text("octavo-check: FAIL");
}
}  // namespace

void add_bochs_cases(std::vector<Case>& cases) {
  cases.push_back({"bochs/x2APIC, 4 CPUs", 2, [](const Bench& bench) { x2apic(bench, "x2apic=on", "x2APIC"); }});
  cases.push_back({"bochs/xAPIC as the firmware left it, 4 CPUs", 2, [](const Bench& bench) { x2apic(bench, "x2apic=firmware", "xAPIC"); }});
  cases.push_back({"bochs/micro guests on SVM with nested paging", 3, micro_guests});
  cases.push_back({"bochs/Linux checks itself on SVM with nested paging", 4, check});
}
}  // namespace octavo::system_test
