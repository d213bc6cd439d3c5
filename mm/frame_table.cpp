// SPDX-License-Identifier: Apache-2.0
#include "mm/frame_table.hpp"

#include <new>

#include "arch/x86/platform.hpp"
#include "mm/mapping.hpp"

namespace octavo::mm {

Result<void> FrameTable::lay_out(std::span<const arch::MemoryRange> ram) {
  extent_count_ = 0;
  frames_ = 0;
  u64 end = 0;
  for (const arch::MemoryRange& range : ram) {
    const u64 base = range.base.value();
    if (((base | range.size) & (k_page_size - 1)) != 0 || range.size == 0) return fail(Error::invalid_argument);
    if (!range_within(base, range.size, u64{1} << 52)) return fail(Error::out_of_range);
    const u64 first = base >> k_page_shift;
    const u64 count = range.size >> k_page_shift;
    if (first < end) return fail(Error::invalid_argument);
    if (extent_count_ > 0 && first - end <= k_gap) {
      Extent& last = extents_[extent_count_ - 1];
      frames_ += first + count - end;
      last.count = first + count - last.first;
    } else {
      if (extent_count_ == k_max_extents) return fail(Error::unsupported);
      extents_[extent_count_++] = {first, count, frames_};
      frames_ += count;
    }
    end = first + count;
  }
  if (frames_ == 0) return fail(Error::invalid_argument);
  if (frames_ >= k_no_frame) return fail(Error::unsupported);
  return {};
}

void FrameTable::place(Mfn mfn) {
  base_ = static_cast<Frame*>(arch::map_frames(mfn, table_frames()));
  __builtin_memset(static_cast<void*>(base_), 0, frames_ * sizeof(Frame));
}

Frame* FrameTable::find(Mfn mfn) const {
  for (usize i = 0; i < extent_count_; ++i) {
    const Extent& extent = extents_[i];
    if (mfn.value() - extent.first < extent.count) return base_ + extent.index + (mfn.value() - extent.first);
  }
  return nullptr;
}

Frame* FrameTable::head_of(Mfn mfn) const {
  // A folio is naturally aligned, so its head's number is mfn with some of the lowest set bits cleared.
  for (u64 candidate = mfn.value();; candidate &= candidate - 1) {
    const u64 distance = mfn.value() - candidate;
    if (distance >= k_max_order.frames()) return nullptr;
    Frame* frame = find(Mfn{candidate});
    if (frame != nullptr) {
      const FrameState state = frame->state();
      if (state.is_head()) return distance < state.order().frames() ? frame : nullptr;
    }
    if (candidate == 0) return nullptr;
  }
}

Mfn FrameTable::mfn_of(const Frame& frame) const {
  const u64 index = index_of(frame);
  usize i = extent_count_ - 1;
  while (extents_[i].index > index) --i;
  return Mfn{extents_[i].first + (index - extents_[i].index)};
}
}  // namespace octavo::mm
