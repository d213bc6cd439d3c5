// SPDX-License-Identifier: Apache-2.0
// For each entry point of the memory core the worst call that we know of: what it does in all, and in the longest section between taking the
// outermost lock and releasing it (P15).
#pragma once
#include <span>

#include "tests/bench/memory/guest.hpp"

namespace octavo::bench {

struct EntryPoint {
  const char* name;
  const char* call;
  Shape shape;
  void (*run)(Guest&);
  void (*prepare)(Guest&) = nullptr;
};
[[nodiscard]] std::span<const EntryPoint> entry_points();
}  // namespace octavo::bench
