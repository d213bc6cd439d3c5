// SPDX-License-Identifier: Apache-2.0
// Can KVM run a hypervisor inside? A device file alone says nothing: the module must allow nesting and the processor must
// have something to nest. (Seen: a machine whose /dev/kvm opens while neither is so.)
#include <fcntl.h>

#include <sstream>

#include "tools/octavo/run/files.hpp"
#include "tools/octavo/run/process.hpp"
#include "tools/octavo/run/qemu.hpp"

namespace octavo::tool {
namespace {
std::string first_word(const char* path) {
  const auto content = read_file(path, 64);
  std::istringstream words{content ? *content : std::string{}};
  std::string word;
  words >> word;
  return word;
}

bool is_on(const std::string& parameter) { return parameter == "1" || parameter == "Y" || parameter == "y"; }

KvmFacts this_machine() {
  KvmFacts facts;
  facts.device_opens = Descriptor{open("/dev/kvm", O_RDWR | O_CLOEXEC)}.is_open();
  facts.nested_amd = first_word("/sys/module/kvm_amd/parameters/nested");
  facts.nested_intel = first_word("/sys/module/kvm_intel/parameters/nested");
  const auto cpuinfo = read_file("/proc/cpuinfo", 65536);
  std::istringstream words{cpuinfo ? *cpuinfo : std::string{}};
  for (std::string word; words >> word;) {
    facts.flag_svm |= word == "svm";
    facts.flag_vmx |= word == "vmx";
  }
  return facts;
}
}  // namespace

std::string why_no_nested_kvm(const KvmFacts& facts) {
  if (!facts.device_opens) return "/dev/kvm cannot be opened";
  if (!facts.flag_svm && facts.flag_vmx) return "the processor has VMX and no SVM, and Octavo cannot use VMX yet";
  if (!facts.flag_svm) return "/dev/kvm opens, but the processor shows neither svm nor vmx in /proc/cpuinfo";
  if (facts.nested_amd.empty()) return "the module kvm_amd is not loaded";
  if (!is_on(facts.nested_amd)) return "nesting is off: /sys/module/kvm_amd/parameters/nested is " + facts.nested_amd;
  return {};
}

std::string why_no_nested_kvm() { return why_no_nested_kvm(this_machine()); }

Outcome<Accelerator> choose_accelerator(const std::string& wish, const std::string& why_no_kvm) {
  if (wish == "tcg") return Accelerator::tcg;
  if (wish == "kvm" && !why_no_kvm.empty()) return complain("--accel kvm: " + why_no_kvm);
  return why_no_kvm.empty() ? Accelerator::kvm : Accelerator::tcg;
}
}  // namespace octavo::tool
