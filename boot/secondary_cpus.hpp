// SPDX-License-Identifier: Apache-2.0
// Starting the CPUs that the boot CPU is not (Intel SDM vol. 3, 8.4: INIT, STARTUP, STARTUP), one after the other.
#pragma once
#include "arch/x86/parse/acpi.hpp"

namespace octavo::boot {
/// Starts every CPU that the MADT lists; those that come up are counted in arch::cpu_count() and idle there. `page`: a free
/// page below 1 MiB. One that does not come up is reported, put back to waiting, and not counted.
void start_secondary_cpus(const arch::acpi::Madt& madt, Hpa page);
}  // namespace octavo::boot
