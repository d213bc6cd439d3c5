// SPDX-License-Identifier: Apache-2.0
#include "paging.hpp"

#include "machine.hpp"

namespace paging {
volatile u64* entry(word root, word va, unsigned level) {
  word table = root;
  for (unsigned l = 4;; --l) {
    volatile u64* e = at<u64>(table) + (va >> (12 + 9 * (l - 1)) & 511);
    if (l == level) return e;
    if (!(*e & k_present)) {
      *e = machine::allocate_page() | k_all;
    } else if (l <= 3 && (*e & k_large)) {
      const word split = machine::allocate_page();
      const u64 step = bit(12 + 9 * (l - 2)), flags = *e & ~k_address & (l == 2 ? ~u64{k_large} : ~u64{0});
      for (unsigned i = 0; i < 512; ++i) at<u64>(split)[i] = ((*e & k_address & ~(step * 512 - 1)) + i * step) | flags;
      *e = split | k_all;
      x86::flush_tlb();
    }
    table = *e & k_address;
  }
}

void map(word va, u64 pa, unsigned level, u64 flags) {
  *entry(reinterpret_cast<word>(guest_pml4), va, level) = pa | flags | (level > 1 ? u64{k_large} : 0);
  x86::invlpg(va);
}

void unmap(word va, unsigned level) {
  *entry(reinterpret_cast<word>(guest_pml4), va, level) = 0;
  x86::invlpg(va);
}
}  // namespace paging
