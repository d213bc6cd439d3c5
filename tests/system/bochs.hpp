// SPDX-License-Identifier: Apache-2.0
// A machine in Bochs: another emulator's opinion of the same boot image (docs/emulators.md). It has no device by which the hypervisor could end
// it, so it runs until its console has shown what is waited for.
#pragma once
#include "tests/system/case.hpp"

namespace octavo::system_test {

struct BochsMachine {
  std::string model;  ///< one that `bochs --help cpu` lists
  unsigned cpus = 1;
  unsigned memory_mib = 512;
  std::string options = {};  ///< the hypervisor's command line
};

/// Boots the hypervisor with these images until each text has come somewhere on its console, or fails the case at the limit. The console, the
/// emulator's own log and its configuration are kept in the case's folder.
[[nodiscard]] Ran run_in_bochs(const Bench& bench, const BochsMachine& machine, const Words& images, const std::vector<std::string>& until, std::chrono::seconds limit);
}  // namespace octavo::system_test
