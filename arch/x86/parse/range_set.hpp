// SPDX-License-Identifier: Apache-2.0
// A set of bytes of machine memory as ascending, disjoint ranges with gaps between them, without allocation. For boot's
// memory map: add what is RAM, remove what is not.
#pragma once
#include <array>
#include <span>

#include "arch/x86/boot_info.hpp"
#include "lib/error.hpp"

namespace octavo::arch {
template <usize capacity>
class RangeSet {
 public:
  [[nodiscard]] std::span<const MemoryRange> ranges() const { return {ranges_.data(), count_}; }

  /// Adds [begin, end); what overlaps or touches becomes one. overflow: no room; nothing has changed.
  [[nodiscard]] Result<> add(u64 begin, u64 end) {
    if (begin >= end) return {};
    usize first = 0;
    while (first < count_ && end_of(first) < begin) ++first;
    usize last = first;
    while (last < count_ && begin_of(last) <= end) {
      begin = begin < begin_of(last) ? begin : begin_of(last);
      end = end > end_of(last) ? end : end_of(last);
      ++last;
    }
    return replace(first, last, {MemoryRange{Hpa{begin}, end - begin}}, 1);
  }

  /// Takes [begin, end) out; may cut one range in two. overflow: no room; nothing has changed.
  [[nodiscard]] Result<> remove(u64 begin, u64 end) {
    if (begin >= end) return {};
    usize first = 0;
    while (first < count_ && end_of(first) <= begin) ++first;
    usize last = first;
    while (last < count_ && begin_of(last) < end) ++last;
    if (first == last) return {};
    std::array<MemoryRange, 2> kept{};
    usize pieces = 0;
    if (begin_of(first) < begin) kept[pieces++] = {Hpa{begin_of(first)}, begin - begin_of(first)};
    if (end_of(last - 1) > end) kept[pieces++] = {Hpa{end}, end_of(last - 1) - end};
    return replace(first, last, kept, pieces);
  }

  [[nodiscard]] bool contains(u64 begin, u64 size) const {
    for (usize i = 0; i < count_; ++i) {
      if (begin >= begin_of(i) && range_within(begin - begin_of(i), size, ranges_[i].size)) return true;
    }
    return false;
  }

  [[nodiscard]] u64 bytes() const {
    u64 sum = 0;
    for (const MemoryRange& range : ranges()) sum += range.size;
    return sum;
  }

 private:
  [[nodiscard]] u64 begin_of(usize i) const { return ranges_[i].base.value(); }
  [[nodiscard]] u64 end_of(usize i) const { return ranges_[i].base.value() + ranges_[i].size; }

  Result<> replace(usize first, usize last, std::array<MemoryRange, 2> with, usize pieces) {
    const usize count = count_ - (last - first) + pieces;
    if (count > capacity) return fail(Error::overflow);
    if (first + pieces > last) {
      for (usize i = count_; i > last; --i) ranges_[i - 1 + (first + pieces - last)] = ranges_[i - 1];
    } else {
      for (usize i = last; i < count_; ++i) ranges_[i - (last - first - pieces)] = ranges_[i];
    }
    for (usize i = 0; i < pieces; ++i) ranges_[first + i] = with[i];
    count_ = count;
    return {};
  }

  std::array<MemoryRange, capacity> ranges_{};
  usize count_ = 0;
};
}  // namespace octavo::arch
