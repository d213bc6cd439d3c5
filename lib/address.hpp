// SPDX-License-Identifier: Apache-2.0
// Types that say what a number is. Frame numbers count 4 KiB frames, addresses count bytes; none converts into another
// silently. `Order` is log2 of a count of frames: 0 = 4K, 9 = 2M, 18 = 1G.
#pragma once
#include <compare>

#include "lib/int.hpp"

namespace octavo {

inline constexpr unsigned k_page_shift = 12;
inline constexpr u64 k_page_size = u64{1} << k_page_shift;

/// log2 of the number of 4 KiB frames in a naturally aligned run.
class Order {
 public:
  constexpr Order() = default;
  constexpr explicit Order(unsigned value) : value_(static_cast<u8>(value)) {}
  [[nodiscard]] constexpr unsigned value() const { return value_; }
  [[nodiscard]] constexpr u64 frames() const { return u64{1} << value_; }
  [[nodiscard]] constexpr u64 bytes() const { return k_page_size << value_; }
  constexpr auto operator<=>(const Order&) const = default;

 private:
  u8 value_ = 0;
};

inline constexpr Order k_order_4k{0};
inline constexpr Order k_order_2m{9};
inline constexpr Order k_order_1g{18};
inline constexpr Order k_order_512g{27};

/// A number of the kind that Tag names. Adding a plain count moves it; subtracting two of a kind gives a count.
template <class Tag>
class StrongNumber {
 public:
  constexpr StrongNumber() = default;
  constexpr explicit StrongNumber(u64 value) : value_(value) {}
  [[nodiscard]] constexpr u64 value() const { return value_; }
  constexpr auto operator<=>(const StrongNumber&) const = default;
  constexpr StrongNumber operator+(u64 count) const { return StrongNumber{value_ + count}; }
  constexpr StrongNumber operator-(u64 count) const { return StrongNumber{value_ - count}; }
  constexpr u64 operator-(StrongNumber other) const { return value_ - other.value_; }
  constexpr StrongNumber& operator+=(u64 count) { value_ += count; return *this; }

 private:
  u64 value_ = 0;
};

template <class Tag>
class FrameNumber : public StrongNumber<FrameNumber<Tag>> {
  using Base = StrongNumber<FrameNumber<Tag>>;

 public:
  using Base::Base;
  constexpr FrameNumber(Base base) : Base(base) {}  // NOLINT: results of the base's operators
  [[nodiscard]] constexpr bool is_aligned(Order order) const { return (this->value() & (order.frames() - 1)) == 0; }
  [[nodiscard]] constexpr FrameNumber align_down(Order order) const {
    return FrameNumber{this->value() & ~(order.frames() - 1)};
  }
};

template <class Tag>
class ByteAddress : public StrongNumber<ByteAddress<Tag>> {
  using Base = StrongNumber<ByteAddress<Tag>>;

 public:
  using Base::Base;
  constexpr ByteAddress(Base base) : Base(base) {}  // NOLINT: results of the base's operators
  [[nodiscard]] constexpr u64 page_offset() const { return this->value() & (k_page_size - 1); }
};

struct GuestPhysical;
struct HostPhysical;
struct GuestVirtual;
using Gfn = FrameNumber<GuestPhysical>;  ///< guest frame number
using Mfn = FrameNumber<HostPhysical>;   ///< machine frame number
using Gpa = ByteAddress<GuestPhysical>;  ///< guest-physical address
using Hpa = ByteAddress<HostPhysical>;   ///< machine address
using Gva = ByteAddress<GuestVirtual>;   ///< guest linear address

[[nodiscard]] constexpr Gfn to_gfn(Gpa gpa) { return Gfn{gpa.value() >> k_page_shift}; }
[[nodiscard]] constexpr Mfn to_mfn(Hpa hpa) { return Mfn{hpa.value() >> k_page_shift}; }
[[nodiscard]] constexpr Gpa to_gpa(Gfn gfn) { return Gpa{gfn.value() << k_page_shift}; }
[[nodiscard]] constexpr Hpa to_hpa(Mfn mfn) { return Hpa{mfn.value() << k_page_shift}; }

/// The largest of the three mapping orders (18, 9, 0) at which a, b and count frames can be mapped by one leaf.
[[nodiscard]] constexpr Order largest_leaf_order(u64 a, u64 b, u64 count, Order limit = k_order_1g) {
  for (const Order order : {k_order_1g, k_order_2m}) {
    if (order <= limit && ((a | b) & (order.frames() - 1)) == 0 && count >= order.frames()) return order;
  }
  return k_order_4k;
}

/// Which domain a frame or an event belongs to. 0 is the hypervisor itself.
enum class DomainId : u16 { hypervisor = 0 };
}  // namespace octavo
