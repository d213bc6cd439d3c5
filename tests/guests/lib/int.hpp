// SPDX-License-Identifier: Apache-2.0
// Integers of the micro guests. They are built without any library (there is no 32-bit one here), so nothing is
// included.
#pragma once

using u8 = __UINT8_TYPE__;
using u16 = __UINT16_TYPE__;
using u32 = __UINT32_TYPE__;
using u64 = __UINT64_TYPE__;
using i64 = long long;
using word = __UINTPTR_TYPE__;  ///< a general register
using size_t = __SIZE_TYPE__;
static_assert(sizeof(word) == sizeof(void*) && sizeof(unsigned long) == sizeof(word));

inline constexpr u64 k_kib = 1024, k_mib = 1024 * k_kib, k_gib = 1024 * k_mib;
inline constexpr word k_page = 4096;

/// 1 << n as 64 bits.
constexpr u64 bit(unsigned n) {
  return u64{1} << n;
}

/// The address as a pointer that the optimizer knows nothing about (so that address 0, holes and aliases are fine).
template <typename T = u8>
inline volatile T* at(word address) {
  asm volatile("" : "+r"(address));
  return reinterpret_cast<volatile T*>(address);
}
template <typename T>
inline word address_of(const volatile T& object) {
  return reinterpret_cast<word>(&object);
}

template <typename T>
struct RemoveReferenceOf {
  using Type = T;
};
template <typename T>
struct RemoveReferenceOf<T&> {
  using Type = T;
};
template <typename T>
using RemoveReference = typename RemoveReferenceOf<T>::Type;
