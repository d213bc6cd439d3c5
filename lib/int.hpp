// SPDX-License-Identifier: Apache-2.0
// The integer names of the house, and arithmetic on numbers that somebody else chose.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

namespace octavo {
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;

/// a + b, or nothing when it does not fit.
template <class T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// a * b, or nothing when it does not fit.
template <class T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// Is [begin, begin + size) inside [0, limit)? Never overflows.
[[nodiscard]] constexpr bool range_within(u64 begin, u64 size, u64 limit) {
  return begin <= limit && size <= limit - begin;
}

/// The mask of the lowest n bits, n in 0..64.
[[nodiscard]] constexpr u64 low_bits(unsigned n) { return n >= 64 ? ~u64{0} : (u64{1} << n) - 1; }

/// value rounded up to a multiple of alignment (a power of two); the caller knows that it fits.
[[nodiscard]] constexpr u64 align_up(u64 value, u64 alignment) { return (value + alignment - 1) & ~(alignment - 1); }
[[nodiscard]] constexpr u64 align_down(u64 value, u64 alignment) { return value & ~(alignment - 1); }
}  // namespace octavo
