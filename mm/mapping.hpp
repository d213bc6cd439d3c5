// SPDX-License-Identifier: Apache-2.0
// The only way to the contents of frames (F5): a handle that maps them while it lives. Nobody keeps an address beyond its
// Mapping, so the always-on direct map can be replaced by per-CPU windows (F6) without a change above this file.
#pragma once
#include <span>
#include <type_traits>
#include <utility>

#include "arch/x86/platform.hpp"
#include "lib/address.hpp"

namespace octavo::mm {

/// `frames` whole frames from mfn, seen as an array of T. Move-only.
template <class T>
  requires std::is_trivially_copyable_v<T> && (k_page_size % sizeof(T) == 0)
class [[nodiscard]] Mapping {
 public:
  explicit Mapping(Mfn mfn, u64 frames = 1) : data_(static_cast<T*>(arch::map_frames(mfn, frames))), frames_(frames) {}
  Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), frames_(other.frames_) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(frames_, other.frames_);
    return *this;
  }
  ~Mapping() {
    if (data_ != nullptr) arch::unmap_frames(const_cast<std::remove_const_t<T>*>(data_), frames_);
  }

  [[nodiscard]] usize size() const { return frames_ * k_page_size / sizeof(T); }
  [[nodiscard]] std::span<T> span() const { return {data_, size()}; }
  /// Element i; beyond the end is a bug of ours, never a guest's doing, and stops the machine.
  [[nodiscard]] T& operator[](usize i) const {
    if (i >= size()) [[unlikely]] arch::panic("mm::Mapping: index out of bounds");
    return data_[i];
  }

 private:
  T* data_;
  u64 frames_;
};

/// Makes 2^order frames zero, through one window of at most 2 MiB at a time.
inline void zero_frames(Mfn mfn, Order order) {
  const u64 step = order < k_order_2m ? order.frames() : k_order_2m.frames();
  for (u64 done = 0; done < order.frames(); done += step) {
    const Mapping<u8> window(mfn + done, step);
    __builtin_memset(window.span().data(), 0, window.size());
  }
}

/// Copies 2^order frames.
inline void copy_frames(Mfn to, Mfn from, Order order) {
  const u64 step = order < k_order_2m ? order.frames() : k_order_2m.frames();
  for (u64 done = 0; done < order.frames(); done += step) {
    const Mapping<u8> target(to + done, step);
    const Mapping<const u8> source(from + done, step);
    __builtin_memcpy(target.span().data(), source.span().data(), source.size());
  }
}
}  // namespace octavo::mm
