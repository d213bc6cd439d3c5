// SPDX-License-Identifier: Apache-2.0
// What instrumented code asks at each place that a mutant can change: is this the run of mutant n? Included by every instrumented file.
#pragma once

namespace octavo_mutation {
inline constexpr int k_most = 1 << 14;
extern int active;                      ///< from OCTAVO_MUTANT; 0: none
extern unsigned char reached[k_most];   ///< which places have been asked about
}  // namespace octavo_mutation

[[gnu::always_inline]] inline constexpr bool octavo_mutant(int n) {
  if consteval {
    return false;
  } else {
    __atomic_store_n(&octavo_mutation::reached[n], static_cast<unsigned char>(1), __ATOMIC_RELAXED);
    return octavo_mutation::active == n;
  }
}
