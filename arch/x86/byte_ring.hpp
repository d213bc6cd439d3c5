// SPDX-License-Identifier: Apache-2.0
// A queue of bytes from one producer (an interrupt handler, or a CPU) to one consumer, without locks. Full: new bytes are lost
// and counted.
#pragma once
#include <atomic>
#include <optional>

#include "lib/int.hpp"

namespace octavo::arch {
template <usize capacity>
class ByteRing {
  static_assert((capacity & (capacity - 1)) == 0);

 public:
  void put(u8 byte) {
    const u32 tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == capacity) { ++lost_; return; }
    bytes_[tail % capacity] = byte;
    tail_.store(tail + 1, std::memory_order_release);
  }
  [[nodiscard]] std::optional<u8> take() {
    const u32 head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    const u8 byte = bytes_[head % capacity];
    head_.store(head + 1, std::memory_order_release);
    return byte;
  }
  [[nodiscard]] u64 lost() const { return lost_; }

 private:
  std::atomic<u32> head_{0}, tail_{0};
  u64 lost_ = 0;
  u8 bytes_[capacity] = {};
};
}  // namespace octavo::arch
