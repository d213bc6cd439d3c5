// SPDX-License-Identifier: Apache-2.0
// The guest's own long-mode tables. They start as the identity map of the first 4 GiB (2 MiB pages, for CPL 3 too).
#pragma once
#include "fault.hpp"

namespace paging {
enum Entry : u64 {
  k_present = 1,
  k_write = 2,
  k_user = 4,
  k_accessed = 1 << 5,
  k_dirty = 1 << 6,
  k_large = 1 << 7,
  k_nx = u64{1} << 63,
  k_all = k_present | k_write | k_user,
};
inline constexpr u64 k_address = 0x000FFFFFFFFFF000;

/// Virtual addresses from here to 512 GiB further are never mapped by anyone else: a place for tests.
inline constexpr word k_window = word{1} << 39;

/// The entry of `va` on `level` (1 = 4K, 2 = 2M, 3 = 1G), tables above it made as needed. A larger page in the way is
/// split.
volatile u64* entry(word root, word va, unsigned level);
/// Maps one page of 4K, 2M, 1G (level 1, 2, 3) and flushes the address.
void map(word va, u64 pa, unsigned level, u64 flags = k_all);
void unmap(word va, unsigned level = 1);
}  // namespace paging

extern "C" u64 guest_pml4[512];
