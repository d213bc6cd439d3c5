// SPDX-License-Identifier: Apache-2.0
#include "tests/model/tlb.hpp"

#include <atomic>
#include <cstddef>
#include <sstream>

namespace octavo::model {

AdversarialTlb::AdversarialTlb(SimulatedMachine& machine, Nested format)
    : machine_(machine),
      format_(format),
      accessed_(u64{1} << (format == Nested::npt ? 5 : 8)),
      dirty_(u64{1} << (format == Nested::npt ? 6 : 9)) {}

std::optional<u64> AdversarialTlb::access(u64 root, u64 gfn, bool write) {
  for (usize i = 0; i < translations_.size(); ++i) {
    Translation& known = translations_[i];
    if (!covers(known, gfn) || (write && !known.walk.write)) continue;
    if (write && !known.dirty) {
      // The dirty bit is set before the write counts, and only in an entry that still says what was read; else the walk starts anew.
      const u64 address = known.walk.entry_address[known.walk.last_level];
      if (!mark(address, known.entry_value, dirty_)) {
        translations_.erase(translations_.begin() + static_cast<std::ptrdiff_t>(i--));
        continue;
      }
      known.dirty = true;
    }
    return known.walk.mfn - known.first_gfn + gfn;
  }
  // The walk starts at the lowest table that a pointer is still cached for.
  u64 table = root;
  unsigned level = 3;
  bool may_write = true, may_execute = true;
  for (unsigned low = 0; low < 3; ++low) {
    const auto found = pointers_.find({low, gfn >> 9 * (low + 1)});
    if (found == pointers_.end()) continue;
    table = found->second.table;
    level = low;
    may_write = found->second.write;
    may_execute = found->second.execute;
    break;
  }
  for (;; --level) {
    const u64 address = table + 8 * (gfn >> 9 * level & 511);
    const u64 entry = machine_.read64(Hpa{address});
    const bool present = format_ == Nested::npt ? (entry & 1) != 0 : (entry & 7) != 0;
    if (!present) return std::nullopt;
    may_write = may_write && (entry >> 1 & 1) != 0;
    may_execute = may_execute && (format_ == Nested::npt ? (entry >> 63) == 0 : (entry >> 2 & 1) != 0);
    const u64 frame = entry >> 12 & ((u64{1} << 40) - 1);
    if (level == 0 || (entry >> 7 & 1) != 0) {
      if (write && !may_write) return std::nullopt;
      if (write && !mark(address, entry, dirty_)) return access(root, gfn, write);
      owed_.push_back({address, entry});
      NestedWalk walk;
      walk.result = NestedWalk::Result::mapped;
      walk.read = true;
      walk.write = may_write;
      walk.execute = may_execute;
      walk.order = 9 * level;
      walk.mfn = frame;
      walk.entry_address[level] = address;
      walk.last_level = level;
      translations_.push_back({gfn >> walk.order << walk.order, walk, entry, write});
      return frame + gfn % (u64{1} << walk.order);
    }
    owed_.push_back({address, entry});
    table = frame << 12;
    pointers_.try_emplace({level - 1, gfn >> 9 * level}, Pointer{table, may_write, may_execute});
  }
}

/// Hardware marks by a locked compare-and-exchange.
bool AdversarialTlb::mark(u64 address, u64 expected, u64 bits) {
  std::atomic_ref<u64> entry(*reinterpret_cast<u64*>(machine_.at(Hpa{address})));
  u64 value = entry.load();
  do {
    if (((value ^ expected) & ~(accessed_ | dirty_)) != 0) return false;
  } while (!entry.compare_exchange_weak(value, value | bits));
  return true;
}

void AdversarialTlb::settle_marks() {
  // An entry that was unlinked together with its table still says what the walk read, and is marked there.
  for (const Owed& owed : owed_) {
    static_cast<void>(mark(owed.entry_address, owed.entry_value, accessed_));
  }
  owed_.clear();
}

void AdversarialTlb::flush() {
  settle_marks();
  translations_.clear();
  pointers_.clear();
}

std::string AdversarialTlb::stale(u64 root) const {
  std::ostringstream problem;
  for (const Translation& known : translations_) {
    for (u64 gfn = known.first_gfn; gfn < known.first_gfn + (u64{1} << known.walk.order); gfn += known.walk.order > 9 ? 509 : known.walk.order > 0 ? 61 : 1) {
      const NestedWalk now = nested_walk(machine_, format_, root, gfn);
      const u64 reached = known.walk.mfn + (gfn - known.first_gfn);
      if (now.result != NestedWalk::Result::mapped || now.mfn != reached) {
        problem << "gfn " << std::hex << gfn << " still reaches mfn " << reached;
        return problem.str();
      }
      if ((known.walk.write && !now.write) || (known.walk.execute && !now.execute)) {
        problem << "gfn " << std::hex << gfn << " keeps rights that were taken away";
        return problem.str();
      }
    }
  }
  for (const auto& [key, pointer] : pointers_) {
    const auto [level, prefix] = key;
    const NestedWalk now = nested_walk(machine_, format_, root, prefix << 9 * (level + 1));
    if (now.last_level > level || (now.entry_address[level] & ~u64{0xFFF}) != pointer.table) {
      problem << "a cached pointer leads to a table that is no longer linked: level " << level << " gfn " << std::hex
              << (prefix << 9 * (level + 1));
      return problem.str();
    }
  }
  return {};
}
}  // namespace octavo::model
