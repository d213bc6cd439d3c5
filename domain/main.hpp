// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "arch/x86/boot_info.hpp"

namespace octavo::domain {
/// Everything after boot: builds the domains from the modules and runs them.
[[noreturn]] void main(const arch::BootInfo& boot);
}  // namespace octavo::domain
