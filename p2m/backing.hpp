// SPDX-License-Identifier: Apache-2.0
// Memory for a new domain: the largest folios first, smaller ones where the machine has none, so that guest and machine
// alignment are equal and the p2m can use its largest leaves. And the way of the hypervisor itself into guest memory.
#pragma once
#include <span>

#include "mm/claim.hpp"
#include "p2m/p2m.hpp"

namespace octavo::p2m {

/// By leaf level (0 = 4K, 1 = 2M, 2 = 1G), in leaves: what the alignment of the range would allow, and what it got.
struct Backing {
  u64 asked[k_leaf_levels] = {};
  u64 backed[k_leaf_levels] = {};
};

/// Backs the hole [first, first + count) with zeroed memory of type ram_rw; 1G first, then 2M, then 4K, falling back at each
/// step; in pieces (P15).
class Population {
 public:
  Population(Gfn first, u64 count) : first_(first), count_(count) {}
  /// Zeroes up to `budget` frames and takes what it used off it; again until all is backed. Errors: out_of_memory and those of P2m::set_range;
  /// what is backed then stays.
  [[nodiscard]] Result<void> some(P2m& p2m, mm::Machine& machine, u64& budget);
  [[nodiscard]] const Backing& backing() const { return backing_; }
  [[nodiscard]] u64 done() const { return done_; }  ///< frames, from `first` on

 private:
  Gfn first_;
  u64 count_;
  u64 done_ = 0;
  u64 piece_end_ = 0;   ///< of the leaf that was asked for
  unsigned level_ = 0;  ///< with which it is backed
  mm::Claim claim_;
  Backing backing_;
};

/// The same in one go, and all or nothing: when it fails, what was backed is taken away again, and a processor that runs meanwhile may have used it.
[[nodiscard]] Result<Backing> populate_ram(P2m& p2m, mm::Machine& machine, Gfn first, u64 count);

/// Copies bytes between the hypervisor and guest memory. Writing ignores ram_ro: it is the hypervisor's way to fill a ROM.
/// not_found when a part is not memory, busy when it is on the move; what comes before that part is done. Not in a ReadSection.
[[nodiscard]] Result<void> write_guest(P2m& p2m, Gpa gpa, std::span<const u8> bytes);
[[nodiscard]] Result<void> read_guest(const P2m& p2m, Gpa gpa, std::span<u8> bytes);
}  // namespace octavo::p2m
