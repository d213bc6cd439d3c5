// SPDX-License-Identifier: Apache-2.0
// The adversarial TLB: keeps every translation and every pointer to a lower table that it ever read, until an invalidation that the
// architecture says removes it (here: the flush of the whole tag), and uses the oldest one that it has. It sets A bits as
// late as it likes and D bits when it writes, both also into tables that software has unlinked meanwhile. Emulators flush at every chance, so what
// they forgive, this does not.
#pragma once
#include <map>
#include <vector>

#include "tests/model/walker.hpp"

namespace octavo::model {

class AdversarialTlb {
 public:
  AdversarialTlb(SimulatedMachine& machine, Nested format);

  /// A guest access to a frame. Returns the machine frame that the processor reaches, or nothing for a nested fault.
  std::optional<u64> access(u64 root, u64 gfn, bool write);
  /// Sets the A bits that are still owed.
  void settle_marks();
  void flush();

  /// What stands against the tables as they are now: a translation or a table pointer that the processor could still use but
  /// that is no longer true. Empty when all is well.
  [[nodiscard]] std::string stale(u64 root) const;
  [[nodiscard]] std::size_t size() const { return translations_.size() + pointers_.size(); }

 private:
  struct Translation {
    u64 first_gfn;
    NestedWalk walk;
    u64 entry_value;
    bool dirty;
  };
  struct Pointer {  ///< (level of the table, gfn >> 9 * (level + 1)) -> table
    u64 table;
    bool write, execute;
  };
  struct Owed {  ///< an accessed bit
    u64 entry_address;
    u64 entry_value;  ///< as the walk read it
  };

  /// Sets bits in an entry that still says what was read; false if it does not.
  [[nodiscard]] bool mark(u64 address, u64 expected, u64 bits);
  [[nodiscard]] bool covers(const Translation& translation, u64 gfn) const {
    return gfn >> translation.walk.order == translation.first_gfn >> translation.walk.order;
  }

  SimulatedMachine& machine_;
  Nested format_;
  u64 accessed_, dirty_;
  std::vector<Translation> translations_;  ///< oldest first
  std::map<std::pair<unsigned, u64>, Pointer> pointers_;
  std::vector<Owed> owed_;
};
}  // namespace octavo::model
