// SPDX-License-Identifier: Apache-2.0
// Which ports and MSRs a guest may touch without an exit: no port, and the MSRs that VMSAVE/VMLOAD switch anyway. One pair
// of maps serves every guest; they never change after fill_permission_maps().
#pragma once
#include "lib/address.hpp"

namespace octavo::arch::svm {
void fill_permission_maps();
[[nodiscard]] Hpa io_permission_map();   ///< APM Vol. 2, 15.10.1: 12 KiB, one bit a port
[[nodiscard]] Hpa msr_permission_map();  ///< APM Vol. 2, 15.11: 8 KiB, two bits an MSR (read, write)
}  // namespace octavo::arch::svm
