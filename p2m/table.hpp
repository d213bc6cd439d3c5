// SPDX-License-Identifier: Apache-2.0
// A live table seen through a window. Every read and write of an entry is one 64-bit atomic operation (P13), and all of them
// are in this file.
#pragma once
#include <atomic>
#include <observe.hpp>

#include "mm/mapping.hpp"
#include "p2m/format.hpp"

namespace octavo::p2m {

class Table {
 public:
  explicit Table(Mfn mfn) : mfn_(mfn), entries_(mfn) {}
  [[nodiscard]] Mfn mfn() const { return mfn_; }

  [[nodiscard]] u64 load(unsigned index) const {
    const u64 value = at(index).load(std::memory_order_acquire);
    arch::observe_entry_load();
    return value;
  }
  /// For an entry that is not present: no hardware writes to it.
  void store(unsigned index, u64 value) const {
    const u64 old = load(index);
    at(index).store(value, std::memory_order_release);
    arch::observe_entry_store(&entries_[index], old, value);
  }
  /// For a present one: the old value with the A and D bits that hardware set up to now.
  [[nodiscard]] u64 exchange(unsigned index, u64 value) const {
    const u64 old = at(index).exchange(value, std::memory_order_acq_rel);
    arch::observe_entry_store(&entries_[index], old, value);
    return old;
  }
  void set_bits(unsigned index, u64 bits) const {
    const u64 old = at(index).fetch_or(bits, std::memory_order_acq_rel);
    arch::observe_entry_store(&entries_[index], old, old | bits);
  }
  /// For a table that is not linked yet.
  void prepare(unsigned index, u64 value) const {
    arch::observe_entry_prepare();
    entries_[index] = value;
  }

 private:
  [[nodiscard]] std::atomic_ref<u64> at(unsigned index) const { return std::atomic_ref<u64>(entries_[index]); }
  Mfn mfn_;
  mm::Mapping<u64> entries_;
};
}  // namespace octavo::p2m
