// SPDX-License-Identifier: Apache-2.0
// arch/x86/svm: AMD's virtualization (APM Vol. 2, chapter 15) behind arch::Backend. What CPUID offers beyond the first
// generation (next-RIP save, decode assists, flush by ASID, clean bits) is used when it is there and never relied on.
#pragma once
#include "arch/x86/guest_context.hpp"

namespace octavo::arch::svm {

/// VMRUN ignores the interrupt shadow here (QEMU's TCG: docs/emulators.md, pitfall 1).
[[nodiscard]] bool loses_interrupt_shadow();

/// The backend of this machine; the caller has found SVM and nested paging in CPUID.
[[nodiscard]] Backend& backend();

/// Every translation of `tag` is dropped before this CPU enters a guest again. Called on the CPU itself.
void flush_before_next_entry(TlbTag tag);
}  // namespace octavo::arch::svm
