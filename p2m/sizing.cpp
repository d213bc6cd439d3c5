// SPDX-License-Identifier: Apache-2.0
#include "p2m/p2m.hpp"

namespace octavo::p2m {

u64 table_frames_for(std::span<const FrameRange> ranges, unsigned levels) {
  u64 tables = 1;  // the root
  for (unsigned level = 0; level + 1 < levels; ++level) {
    // A table at this level spans 2^(9 * (level + 1)) frames; neighbouring ranges may share one.
    const unsigned shift = 9 * (level + 1);
    u64 next = 0;
    for (const FrameRange& range : ranges) {
      if (range.count == 0) continue;
      u64 first = range.first.value() >> shift;
      const u64 last = (range.first.value() + range.count - 1) >> shift;
      if (first < next) first = next;
      if (last + 1 > first) {
        tables += last + 1 - first;
        next = last + 1;
      }
    }
  }
  return tables;
}
}  // namespace octavo::p2m
