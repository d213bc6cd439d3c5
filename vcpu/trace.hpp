// SPDX-License-Identifier: Apache-2.0
// The last exits of a vCPU, for the dump when its domain dies and for a panic. Written by the CPU that runs the vCPU; a
// reader on a panic path may see the newest entry half written, which is all that it costs.
#pragma once
#include <span>

#include "arch/x86/exit.hpp"
#include "lib/format.hpp"

namespace octavo::vcpu {

struct TraceEntry {
  u64 rip;
  u64 info1;
  u64 info2;
  u32 code;  ///< no processor's exit codes are wider; VMEXIT_INVALID is all ones
  arch::ExitKind kind;
};

class ExitTrace {
 public:
  static constexpr unsigned k_entries = 32;  // a power of two

  void record(u64 rip, const arch::Exit& exit) {
    entries_[next_++ % k_entries] = {rip, exit.info1, exit.info2, static_cast<u32>(exit.code), exit.kind};
  }
  /// Oldest first, one line each.
  void print(Sink& sink) const {
    const u64 first = next_ > k_entries ? next_ - k_entries : 0;
    for (u64 i = first; i < next_; ++i) {
      const TraceEntry& e = entries_[i % k_entries];
      format(sink, "  exit {:<6} {:<16} rip {:016x} info {:x} {:x} code {:x}\n", i, arch::to_string(e.kind), e.rip, e.info1, e.info2,
             e.code);
    }
  }

 private:
  TraceEntry entries_[k_entries] = {};
  u64 next_ = 0;
};
}  // namespace octavo::vcpu
