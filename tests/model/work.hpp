// SPDX-License-Identifier: Apache-2.0
// What the memory core does, counted by the simulated machine: figures that are the same in every run. Each thread has its own.
#pragma once
#include "lib/int.hpp"

namespace octavo::model {

struct Work {
  u64 loads = 0;    ///< entries of tables read
  u64 stores = 0;   ///< entries written, those of tables that are not linked yet too
  u64 windows = 0;  ///< Mappings made
  u64 frames = 0;   ///< frames that they covered
  u64 tables = 0;   ///< of these, tables of a p2m; only counted where SimulatedMachine::on_map does it
  u64 locks = 0;    ///< taken
  u64 flushes = 0;  ///< of a tag
  u64 blocks = 0;   ///< basic blocks executed; only counted in a program that is compiled for it

  /// Frames of memory that were zeroed, copied from or to, or looked into.
  [[nodiscard]] constexpr u64 memory_frames() const { return frames - tables; }
  [[nodiscard]] constexpr u64 steps() const { return loads + stores + memory_frames() + locks; }
  constexpr Work operator-(const Work& before) const {
    return {loads - before.loads, stores - before.stores, windows - before.windows, frames - before.frames,
            tables - before.tables, locks - before.locks, flushes - before.flushes, blocks - before.blocks};
  }
};

inline constinit thread_local Work work;
/// The section between taking the outermost lock and releasing it with the most steps, since somebody set it to {}.
inline constinit thread_local Work longest_section;
}  // namespace octavo::model
