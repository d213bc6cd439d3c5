// SPDX-License-Identifier: Apache-2.0
// The host's side of arch/x86/live/observe.hpp: every store to a live table is shown to whoever asked, after it was made;
// loads, stores and the entries of tables that are not linked yet are counted.
#pragma once
#include "tests/model/work.hpp"

namespace octavo::arch {
using EntryStoreObserver = void (*)(const u64* entry, u64 old_value, u64 new_value);
inline constinit EntryStoreObserver entry_store_observer = nullptr;

inline void observe_entry_load() { ++model::work.loads; }
inline void observe_entry_prepare() { ++model::work.stores; }
inline void observe_entry_store(const u64* entry, u64 old_value, u64 new_value) {
  ++model::work.stores;
  if (entry_store_observer != nullptr) entry_store_observer(entry, old_value, new_value);
}
}  // namespace octavo::arch
