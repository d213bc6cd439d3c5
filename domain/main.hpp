// SPDX-License-Identifier: Apache-2.0
// Where boot/ hands over: the machine is up, no domain is there yet.
#pragma once
#include "arch/x86/boot_info.hpp"

namespace octavo::domain {
/// Machine memory, the backend on this CPU, a domain for each boot module, then the main loop.
[[noreturn, gnu::noinline]] void main(const arch::BootInfo& boot);
}  // namespace octavo::domain
