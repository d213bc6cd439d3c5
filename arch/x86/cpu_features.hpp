// SPDX-License-Identifier: Apache-2.0
// The processor that we run on. Read once by the boot CPU; constant afterwards; anyone in arch/ and above may look.
#pragma once
#include "arch/x86/parse/cpu_features.hpp"

namespace octavo::arch {

/// Reads CPUID and the MSRs of the CPU that calls it.
[[nodiscard]] RawFeatures read_raw_features();

/// Fills features(); boot calls it once.
void detect_features();
[[nodiscard]] const Features& features();
}  // namespace octavo::arch
