// SPDX-License-Identifier: Apache-2.0
// Memory for a new domain: the largest folios first, smaller ones where the machine has none, so that guest and machine
// alignment are equal and the p2m can use its largest leaves. And the way of the hypervisor itself into guest memory.
#pragma once
#include <span>

#include "p2m/p2m.hpp"

namespace octavo::p2m {

/// By leaf level (0 = 4K, 1 = 2M, 2 = 1G), in leaves: what the alignment of the range would allow, and what it got.
struct Backing {
  u64 asked[k_leaf_levels] = {};
  u64 backed[k_leaf_levels] = {};
};

/// Backs the hole [first, first + count) with zeroed memory of type ram_rw; 1G first, then 2M, then 4K, falling back
/// at each step. All or nothing. Errors: out_of_memory and those of P2m::set_range.
[[nodiscard]] Result<Backing> populate_ram(P2m& p2m, mm::Machine& machine, Gfn first, u64 count);

/// Copies bytes between the hypervisor and guest memory. Writing ignores ram_ro: it is the hypervisor's way to fill a ROM.
/// not_found when a part is not memory, busy when it is on the move; what comes before that part is done. Not in a ReadSection.
[[nodiscard]] Result<void> write_guest(P2m& p2m, Gpa gpa, std::span<const u8> bytes);
[[nodiscard]] Result<void> read_guest(const P2m& p2m, Gpa gpa, std::span<u8> bytes);
}  // namespace octavo::p2m
