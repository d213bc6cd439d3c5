// SPDX-License-Identifier: Apache-2.0
// The operations of the memory core that are measured, once for bench_memory_time (host time) and bench_memory_count (counted work): each
// is prepared, run and undone at some places of a guest, and only running it is measured.
#pragma once
#include <span>

#include "tests/bench/memory/guest.hpp"

namespace octavo::bench {

enum class Places { once, at_2m, at_1g };
/// By time: as often as Google Benchmark likes; a few times, because each time wants a new guest; not at all: it is only counted.
enum class Timing { often, fresh, never };

struct Operation {
  const char* name;
  Shape shape;
  Places places;
  void (*run)(Guest&, unsigned sample);
  void (*prepare)(Guest&, unsigned sample) = nullptr;
  void (*undo)(Guest&, unsigned sample) = nullptr;
  Timing timing = Timing::often;
  u64 largest_timed = 1024;  ///< GiB

  [[nodiscard]] unsigned samples(const Guest& guest) const {
    return places == Places::once ? 1 : places == Places::at_2m ? k_samples : guest.samples_1g();
  }
  template <class F>
  void each(Guest& guest, F f) const {
    if (f == nullptr) return;
    for (unsigned i = 0; i < samples(guest); ++i) f(guest, i);
  }
};

[[nodiscard]] std::span<const Operation> operations();
inline constexpr u64 k_sizes[] = {1, 16, 256, 1024};  ///< of the guest, GiB
}  // namespace octavo::bench
