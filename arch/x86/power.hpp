// SPDX-License-Identifier: Apache-2.0
// Ways to end the machine; they are in platform.hpp. Each waits for the serial line to send what it has.
#pragma once
#include "arch/x86/platform.hpp"

namespace octavo::arch {

/// The command line has exit=qemu.
void set_exit_to_qemu(bool wanted);

}  // namespace octavo::arch
