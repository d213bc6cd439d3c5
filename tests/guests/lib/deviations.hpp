// SPDX-License-Identifier: Apache-2.0
// The closed list of what QEMU's TCG (7.2) does differently from the manuals, seen on the bare emulator. A guest under
// a hypervisor in it cannot be asked for better where the hypervisor has no intercept. See docs on emulators; add a
// line only with a reproduction.
#pragma once

enum class Deviation : unsigned {
  msr_non_canonical,      ///< WRMSR of a non-canonical base does not fault
  msr_pat_invalid_type,   ///< WRMSR of an invalid memory type to PAT does not fault
  msr_unknown,            ///< RDMSR and WRMSR of an MSR that does not exist: no fault, reads 0
  efer_unchecked,         ///< WRMSR EFER drops reserved bits, and changes LME under paging, instead of #GP
  cr0_unchecked,          ///< MOV CR0 accepts NW without CD and reserved bits
  cr8_unchecked,          ///< MOV CR8 accepts reserved bits
  pf_reserved_without_p,  ///< a reserved-bit #PF has error bit 0 clear
  no_alignment_check,     ///< #AC is never raised
  no_simd_exceptions,     ///< unmasked SSE exceptions are not raised as #XM
  stack_non_canonical,    ///< a non-canonical address through RBP or RSP is #GP instead of #SS
  gate_error_code,        ///< error codes about IDT gates in long mode are 16 * vector + 2 instead of 8 * vector + 2
  msr_tsc,                ///< RDMSR of the TSC reads 0
};

constexpr const char* name_of(Deviation d) {
  switch (d) {
    case Deviation::msr_non_canonical:
      return "msr_non_canonical";
    case Deviation::msr_pat_invalid_type:
      return "msr_pat_invalid_type";
    case Deviation::msr_unknown:
      return "msr_unknown";
    case Deviation::efer_unchecked:
      return "efer_unchecked";
    case Deviation::cr0_unchecked:
      return "cr0_unchecked";
    case Deviation::cr8_unchecked:
      return "cr8_unchecked";
    case Deviation::pf_reserved_without_p:
      return "pf_reserved_without_p";
    case Deviation::no_alignment_check:
      return "no_alignment_check";
    case Deviation::no_simd_exceptions:
      return "no_simd_exceptions";
    case Deviation::stack_non_canonical:
      return "stack_non_canonical";
    case Deviation::gate_error_code:
      return "gate_error_code";
    case Deviation::msr_tsc:
      return "msr_tsc";
  }
  return "?";
}
