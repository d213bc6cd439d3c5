// SPDX-License-Identifier: Apache-2.0
// What `octavo run` knows of QEMU: its versions and their gaps, processor models, and the command line of a machine that
// ends when the hypervisor says so. Makes command lines; starts nothing but `--version`.
#pragma once
#include <compare>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/octavo/run/outcome.hpp"

namespace octavo::tool {

struct QemuVersion {
  int major = 0, minor = 0, micro = 0;
  constexpr auto operator<=>(const QemuVersion&) const = default;
  [[nodiscard]] std::string to_string() const;
};

enum class Accelerator { tcg, kvm };

/// The oldest version with which the tests run.
inline constexpr QemuVersion k_oldest_tested_qemu{7, 2, 0};

Outcome<QemuVersion> parse_qemu_version(std::string_view banner);
Outcome<QemuVersion> probe_qemu(const std::string& program);
/// What this version lacks or breaks for Octavo, a sentence each (docs/running.md has the sources).
std::vector<std::string> qemu_notes(const QemuVersion& version, Accelerator accelerator);

/// Empty if /dev/kvm can really run a hypervisor inside (device, module parameter and processor flag agree), else why not.
std::string why_no_nested_kvm();
/// The same from given facts, for tests: each empty string or "0"/"N" is a no.
struct KvmFacts {
  bool device_opens = false;
  std::string nested_amd, nested_intel;  ///< /sys/module/kvm_{amd,intel}/parameters/nested, empty if absent
  bool flag_svm = false, flag_vmx = false;
};
std::string why_no_nested_kvm(const KvmFacts& facts);
Outcome<Accelerator> choose_accelerator(const std::string& wish, const std::string& why_no_kvm);

struct MachineRequest {
  std::string program = "qemu-system-x86_64";
  std::string cpu = "npt";  ///< npt, shadow, none, or one of QEMU's own models
  Accelerator accelerator = Accelerator::tcg;
  bool uefi = false;
  std::filesystem::path firmware;  ///< with uefi; empty: where the distribution keeps it
  unsigned cpus = 1;
  std::string memory = "1G";
  std::string gdb_port;             ///< empty: no stub; otherwise the machine waits for gdb
  std::filesystem::path qemu_log;   ///< empty: none
  bool icount = false;
  std::string display;              ///< empty: none
  std::string options;              ///< handed to the hypervisor beside those of the boot image
  std::vector<std::string> extra;   ///< passed to QEMU unchanged, last
  std::filesystem::path iso;
  std::filesystem::path channel;    ///< empty: no second serial line; else it is a UNIX socket here, QEMU listens
  bool console_keys = false;        ///< standard input goes to the guest; Ctrl-A is QEMU's
};

std::string cpu_model(const std::string& wish, Accelerator accelerator);
Outcome<std::filesystem::path> find_uefi_firmware();
/// The whole command line. Refuses combinations that QEMU would misread.
Outcome<std::vector<std::string>> qemu_command(const MachineRequest& request);

/// The hypervisor's verdict is a byte written to port 0xf4; QEMU's isa-debug-exit ends with (byte << 1) | 1.
inline constexpr int k_qemu_passed = (0x10 << 1) | 1;
inline constexpr int k_qemu_failed = (0x11 << 1) | 1;
inline constexpr int k_qemu_panic = (0x12 << 1) | 1;
}  // namespace octavo::tool
