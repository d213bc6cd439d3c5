// SPDX-License-Identifier: Apache-2.0
// The bytes of an instruction that the processor has just executed (and exited for). It has walked the tables, checked the
// rights and set the accessed bits itself a moment ago, so this only follows the entries. For the hot exits; whatever it does
// not know (other modes, a page boundary) is for walk() and fetch_instruction().
#pragma once
#include "walk/memory.hpp"

namespace octavo::walk {

inline constexpr usize k_peek_bytes = 3;

/// Reads k_peek_bytes at `rip` under 4-level paging with this CR3. False: not all in one page, or not mapped (any more).
[[nodiscard]] bool peek_executed(GuestBytes& memory, u64 cr3, u64 rip, u8 (&out)[k_peek_bytes]);
}  // namespace octavo::walk
