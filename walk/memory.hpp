// SPDX-License-Identifier: Apache-2.0
// The two views that walkers have of guest-physical memory. Whoever implements them resolves the p2m (populating on demand if
// need be) and answers an error for what is not memory.
#pragma once
#include <span>

#include "lib/address.hpp"
#include "lib/error.hpp"

namespace octavo::walk {

/// Memory as page tables: entries of 4 or 8 bytes, naturally aligned, accessed by single loads and locked exchanges.
class GuestMemory {
 public:
  /// The entry at gpa, zero-extended.
  [[nodiscard]] virtual Result<u64> read_entry(Gpa gpa, unsigned size) = 0;
  /// Stores `desired` if the entry still is `expected`; says whether it was.
  [[nodiscard]] virtual Result<bool> compare_exchange_entry(Gpa gpa, unsigned size, u64 expected, u64 desired) = 0;

 protected:
  ~GuestMemory() = default;
};

/// Memory as bytes too. A range never crosses a page.
class GuestBytes : public GuestMemory {
 public:
  [[nodiscard]] virtual Result<> read(Gpa gpa, std::span<u8> out) = 0;
  [[nodiscard]] virtual Result<> write(Gpa gpa, std::span<const u8> in) = 0;

 protected:
  ~GuestBytes() = default;
};
}  // namespace octavo::walk
