// SPDX-License-Identifier: Apache-2.0
// The frame table: from a machine frame number to its Frame and back, for what RAM spans and nothing else. Extents of RAM lie
// side by side in one array, so a 32-bit index names any frame of 16 TiB of RAM wherever the firmware put it. Built once.
#pragma once
#include <array>
#include <span>

#include "arch/x86/boot_info.hpp"
#include "lib/error.hpp"
#include "mm/frame.hpp"

namespace octavo::mm {

class FrameTable {
 public:
  /// Lays out the extents. Ranges nearer to each other than 16 MiB share one. invalid_argument: not ascending, disjoint and
  /// page-aligned; out_of_range: beyond 2^52 bytes; unsupported: more extents than there is room for.
  [[nodiscard]] Result<void> lay_out(std::span<const arch::MemoryRange> ram);
  /// How many machine frames the table itself needs.
  [[nodiscard]] u64 table_frames() const { return align_up(frames_ * sizeof(Frame), k_page_size) >> k_page_shift; }
  /// Gives it its memory: table_frames() frames, mapped for good; makes every record `none`.
  void place(Mfn mfn);

  /// The record of a frame, or null when no RAM is there. Lock-free.
  [[nodiscard]] Frame* find(Mfn mfn) const;
  /// The record of the head of the folio that mfn lies in (free ones too), or null. Lock-free; the answer stays true as long as
  /// the caller holds a reference on the folio or the allocator's lock.
  [[nodiscard]] Frame* head_of(Mfn mfn) const;

  [[nodiscard]] u32 index_of(const Frame& frame) const { return static_cast<u32>(&frame - base_); }
  [[nodiscard]] Frame& at(u32 index) const { return base_[index]; }
  [[nodiscard]] Mfn mfn_of(const Frame& frame) const;
  [[nodiscard]] u64 frames() const { return frames_; }

 private:
  struct Extent {
    u64 first = 0;  ///< frame number
    u64 count = 0;
    u64 index = 0;  ///< of `first` in the table
  };
  static constexpr usize k_max_extents = 64;
  static constexpr u64 k_gap = u64{16} << 20 >> k_page_shift;

  std::array<Extent, k_max_extents> extents_{};
  usize extent_count_ = 0;
  u64 frames_ = 0;
  Frame* base_ = nullptr;
};
}  // namespace octavo::mm
