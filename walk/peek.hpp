// SPDX-License-Identifier: Apache-2.0
// The bytes of an instruction that the processor has just executed (and exited for). It has walked the tables, checked the
// rights and set the accessed bits itself a moment ago, so this only follows the entries. For the hot exits; whatever it does
// not know (other modes, a page boundary) is for walk() and fetch_instruction().
#pragma once
#include <concepts>
#include <optional>

#include "lib/address.hpp"

namespace octavo::walk {

/// The three bytes at `rip` under 4-level paging with this CR3, the first one lowest. `read` gives the naturally aligned
/// 8 bytes at a guest-physical address. Nothing: they do not lie in one page, or are not mapped (any more).
template <class Read>
  requires std::same_as<std::invoke_result_t<Read, Gpa>, std::optional<u64>>
[[nodiscard]] inline std::optional<u32> peek_executed(Read&& read, u64 cr3, u64 rip) {
  constexpr u64 address_bits = 0x000F'FFFF'FFFF'F000, present = 1, large = 1u << 7, wanted = 3;
  if ((rip & (k_page_size - 1)) > k_page_size - wanted) return std::nullopt;
  u64 table = cr3 & address_bits;
  for (unsigned shift = 39;; shift -= 9) {
    const std::optional<u64> entry = read(Gpa{table + (rip >> shift & 511) * 8});
    if (!entry || (*entry & present) == 0) return std::nullopt;
    const bool leaf = shift == 12 || (shift < 39 && (*entry & large) != 0);
    if (!leaf) {
      table = *entry & address_bits;
      continue;
    }
    const u64 offset = low_bits(shift);
    const u64 gpa = (*entry & address_bits & ~offset) | (rip & offset);
    const unsigned skip = gpa & 7;
    const std::optional<u64> low = read(Gpa{gpa - skip});
    if (!low) return std::nullopt;
    u64 bytes = *low >> (8 * skip);
    if (skip > 8 - wanted) {
      const std::optional<u64> high = read(Gpa{gpa - skip + 8});
      if (!high) return std::nullopt;
      bytes |= *high << (8 * (8 - skip));
    }
    return static_cast<u32>(bytes & low_bits(8 * wanted));
  }
}
}  // namespace octavo::walk
