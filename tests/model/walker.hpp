// SPDX-License-Identifier: Apache-2.0
// The reference walker for nested tables, written from the manuals and from nothing else: AMD APM vol. 2 5.3, 5.4, 15.25;
// Intel SDM vol. 3 29.3. Slow and obvious. It knows no name of p2m/ on purpose: sharing a constant would share its error.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "tests/model/machine.hpp"

namespace octavo::model {

enum class Nested { npt, ept };

/// The outcome of a nested walk for one guest-physical frame.
struct NestedWalk {
  enum class Result { mapped, not_present, malformed };
  Result result = Result::not_present;
  u64 mfn = 0;
  unsigned order = 0;  ///< of the leaf, or of the hole
  bool read = false, write = false, execute = false;
  bool uncached = false;
  std::string problem{};               ///< what is malformed
  std::array<u64, 5> entry_address{};  ///< machine address of the entry at each level
  unsigned last_level = 0;             ///< level of the last entry that was read
  bool operator==(const NestedWalk& other) const {
    return result == other.result && mfn == other.mfn && read == other.read && write == other.write &&
           execute == other.execute && uncached == other.uncached;
  }
};

/// Walks four levels from root for a guest frame number.
[[nodiscard]] NestedWalk nested_walk(const SimulatedMachine& machine, Nested format, u64 root, u64 gfn,
                                     unsigned machine_address_bits = 48);
}  // namespace octavo::model
