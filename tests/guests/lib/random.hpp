// SPDX-License-Identifier: Apache-2.0
// xorshift64*: the same numbers from the same seed, everywhere.
#pragma once
#include "int.hpp"

class Random {
 public:
  explicit constexpr Random(u64 seed) : state_(seed) {}
  u64 next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  u32 below(u32 limit) { return static_cast<u32>((next() >> 32) * limit >> 32); }
  /// A number that is interesting more often than by chance: few bits, small, all ones, or anything.
  u64 value() {
    switch (below(5)) {
      case 0:
        return bit(below(64));
      case 1:
        return below(16);
      case 2:
        return ~bit(below(64));
      case 3:
        return bit(below(64)) | bit(below(64));
      default:
        return next();
    }
  }

 private:
  u64 state_;
};
