// SPDX-License-Identifier: Apache-2.0
// The host's side of arch/x86/live/observe.hpp: every load from and store to a live table is shown to whoever asked, after it was made. After
// a load is the moment at which a processor can make untrue what was read.
#pragma once
#include "lib/int.hpp"

namespace octavo::arch {
using EntryStoreObserver = void (*)(const u64* entry, u64 old_value, u64 new_value);
using EntryLoadObserver = void (*)();
inline constinit EntryStoreObserver entry_store_observer = nullptr;
inline constinit EntryLoadObserver entry_load_observer = nullptr;

inline void observe_entry_store(const u64* entry, u64 old_value, u64 new_value) {
  if (entry_store_observer != nullptr) entry_store_observer(entry, old_value, new_value);
}
inline void observe_entry_load() {
  if (entry_load_observer != nullptr) entry_load_observer();
}
}  // namespace octavo::arch
