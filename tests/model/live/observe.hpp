// SPDX-License-Identifier: Apache-2.0
// The host's side of arch/x86/live/observe.hpp: every load from and store to a live table is shown to whoever asked, after it was made; they
// are counted, and so are the entries of tables that are not linked yet. After a load is the moment at which a processor can make
// untrue what was read.
#pragma once
#include "tests/model/work.hpp"

namespace octavo::arch {
using EntryStoreObserver = void (*)(const u64* entry, u64 old_value, u64 new_value);
using EntryLoadObserver = void (*)();
inline constinit EntryStoreObserver entry_store_observer = nullptr;
inline constinit EntryLoadObserver entry_load_observer = nullptr;

inline void observe_entry_load() {
  ++model::work.loads;
  if (entry_load_observer != nullptr) entry_load_observer();
}
inline void observe_entry_prepare() { ++model::work.stores; }
inline void observe_entry_store(const u64* entry, u64 old_value, u64 new_value) {
  ++model::work.stores;
  if (entry_store_observer != nullptr) entry_store_observer(entry, old_value, new_value);
}
}  // namespace octavo::arch
