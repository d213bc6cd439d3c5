// SPDX-License-Identifier: Apache-2.0
#include "walk/peek.hpp"

namespace octavo::walk {

bool peek_executed(GuestBytes& memory, u64 cr3, u64 rip, u8 (&out)[k_peek_bytes]) {
  constexpr u64 address_bits = 0x000F'FFFF'FFFF'F000, present = 1, large = 1u << 7;
  if ((rip & (k_page_size - 1)) > k_page_size - k_peek_bytes) return false;
  u64 table = cr3 & address_bits;
  for (unsigned shift = 39;; shift -= 9) {
    const Result<u64> entry = memory.read_entry(Gpa{table + (rip >> shift & 511) * 8}, 8);
    if (!entry || (*entry & present) == 0) return false;
    const bool leaf = shift == 12 || (shift < 39 && (*entry & large) != 0);
    if (!leaf) {
      table = *entry & address_bits;
      continue;
    }
    const u64 offset = low_bits(shift);
    return memory.read(Gpa{(*entry & address_bits & ~offset) | (rip & offset)}, out).has_value();
  }
}
}  // namespace octavo::walk
