// SPDX-License-Identifier: Apache-2.0
// The machine that the guest finds: who runs it, its memory, and where the guest itself lies in it.
#pragma once
#include "int.hpp"

struct Range {
  u64 base = 0, size = 0;
  u64 end() const { return base + size; }
};

namespace machine {
inline constexpr unsigned k_max_ranges = 32;

/// On Octavo (CPUID signature), or bare on an emulator or a real machine?
bool on_octavo();
/// On anything but QEMU 7.2's TCG or Octavo, tests of TCG's pitfalls could hang; so bare means "careful".
inline bool bare() {
  return !on_octavo();
}

/// The RAM ranges of the multiboot memory map, ascending.
unsigned ram_count();
Range ram(unsigned index);
/// The first address after the last RAM.
u64 ram_end();
/// Is any byte of this page used by what the loader gave: image, multiboot information, memory map, command line, first
/// GDT? Bare, also the firmware's low megabyte.
bool page_in_use(u64 page);
/// Calls function(base, end) for each run of pages in RAM that are free for tests (not page_in_use, not taken by
/// allocate_page).
void for_each_free_run(void (*function)(void*, u64 base, u64 end), void* context, u64 limit = ~u64{0});

template <typename F>
void each_free_run(F&& function, u64 limit = ~u64{0}) {
  using Function = RemoveReference<F>;
  for_each_free_run([](void* f, u64 base, u64 end) { (*static_cast<Function*>(f))(base, end); }, &function, limit);
}

/// Zeroed page for page tables, taken from behind the image. Never given back.
word allocate_page();

/// The multiboot command line ("" if none).
const char* command_line();

void initialize();
}  // namespace machine

/// Each test guest has one; when it returns, the plan and the verdict are written.
void guest_main();
