// SPDX-License-Identifier: Apache-2.0
// The CPUs together: how many there are, and what the backend does on each when a TLB tag is flushed.
#pragma once
#include "arch/x86/platform.hpp"

namespace octavo::arch {

/// Makes the calling CPU forget all that it has cached of `tag`. One hook, set by the backend (SVM, VMX) when it starts.
using FlushHook = void (*)(TlbTag tag);
void set_flush_hook(FlushHook hook);
}  // namespace octavo::arch
