// SPDX-License-Identifier: Apache-2.0
// arch/x86/svm: AMD's virtualization (APM Vol. 2, chapter 15) behind arch::Backend. What CPUID offers beyond the first
// generation (next-RIP save, decode assists, flush by ASID, clean bits) is used when it is there and never relied on.
#pragma once
#include "arch/x86/guest_context.hpp"

namespace octavo::arch::svm {

/// CPUID 8000_000Ah as far as we use it.
struct Features {
  u32 asid_count = 0;
  bool nested_paging = false;
  bool next_rip = false;
  bool decode_assists = false;
  bool flush_by_asid = false;
  bool clean_bits = false;
  /// QEMU's TCG: VMRUN ignores the interrupt shadow (docs/emulators.md, pitfall 1).
  bool loses_interrupt_shadow = false;
};
[[nodiscard]] const Features& features();

/// The backend of this machine; the caller has found SVM and nested paging in CPUID.
[[nodiscard]] Backend& backend();

/// Every translation of `tag` is dropped before this CPU enters a guest again. Called on the CPU itself.
void flush_before_next_entry(TlbTag tag);
}  // namespace octavo::arch::svm
