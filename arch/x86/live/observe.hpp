// SPDX-License-Identifier: Apache-2.0
// The hypervisor's side of a line that the build draws by its include path: the host has a header of the same name in
// tests/model/live/ that shows every load from and store to a live table to the simulated machine, and counts them. Here nobody looks.
#pragma once
#include "lib/int.hpp"

namespace octavo::arch {
inline void observe_entry_load() {}
inline void observe_entry_prepare() {}
inline void observe_entry_store(const u64* /*entry*/, u64 /*old_value*/, u64 /*new_value*/) {}
}  // namespace octavo::arch
