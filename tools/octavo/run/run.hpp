// SPDX-License-Identifier: Apache-2.0
// One run of the emulated machine: starts QEMU, stands between its serial line and the person (or the log), and turns what
// happens into a verdict. The verdict is the hypervisor's own; a text that was expected and not seen, or seen and rejected,
// makes a passed run a failed one.
#pragma once
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/octavo/run/qemu.hpp"

namespace octavo::tool {

/// The exit statuses of `octavo run` (docs/architecture.md).
enum class RunExit : int { passed = 0, failed = 1, usage = 2, panic = 3, time_limit = 124 };

struct RunRequest {
  MachineRequest machine;  ///< its iso, options and accelerator are filled in by run()
  std::vector<std::filesystem::path> inputs;  ///< one boot image, or domain images
  std::filesystem::path hypervisor;           ///< for domain images; empty: the one found beside the command
  std::string accelerator = "auto";
  std::string options;
  std::optional<std::chrono::milliseconds> limit;
  bool interactive = false;
  std::vector<std::string> expect, reject;
  std::string until;  ///< end the run as passed once this text has been seen
  bool json = false;
  bool dry_run = false;
  std::filesystem::path serial_log;
};

struct RunVerdict {
  RunExit exit = RunExit::failed;
  std::string sentence;  ///< why, unless it simply passed
  int signal = 0;        ///< the signal that a person sent to end the run, 0 if none
};

/// From how QEMU ended to what the run means, without regard to texts.
RunVerdict verdict_of(const struct ExitStatus& qemu);

/// Runs; the error is a usage error (nothing was started). Prints the console to standard output.
Outcome<RunVerdict> run(const RunRequest& request);
}  // namespace octavo::tool
