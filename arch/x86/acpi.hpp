// SPDX-License-Identifier: Apache-2.0
// What this machine's ACPI tables say. Read once by boot while the boot page tables map all of the first 4 GiB; what is
// needed later is copied, so the tables themselves are never mapped again.
#pragma once
#include <optional>

#include "arch/x86/parse/acpi.hpp"

namespace octavo::arch::acpi {

struct Machine {
  std::optional<Madt> madt;
  std::optional<Fadt> fadt;
  std::optional<SleepTypes> soft_off;
};

/// `root_pointer`: the boot loader's copy, empty if it gave none (then the BIOS areas are searched). Anything missing or
/// broken is said in the log and stays unset.
void discover(Bytes root_pointer);
[[nodiscard]] const Machine& machine();
}  // namespace octavo::arch::acpi
