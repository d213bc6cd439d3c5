// SPDX-License-Identifier: Apache-2.0
// A guest that has some of everything, and every operation on it: for tests that try something at each point of each operation.
#pragma once
#include <catch2/catch.hpp>
#include <functional>

#include "p2m/backing.hpp"
#include "tests/model/snapshot.hpp"

using namespace octavo;
using model::Snapshot;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace rich {
inline constexpr u64 k_2m = 512;
inline constexpr u64 k_1g = 512 * 512;
inline constexpr Gfn k_large{2 * k_1g};      ///< a 1G leaf
inline constexpr Gfn k_medium{0};            ///< a 2M leaf
inline constexpr Gfn k_scattered{k_2m};      ///< 512 leaves that only a move can join
inline constexpr Gfn k_lazy{4 * k_1g};       ///< two 2M leaves under a pending type
inline constexpr Gfn k_entry{5 * k_1g};      ///< populated on demand, 1G
inline constexpr Gfn k_device{6 * k_1g};

/// A guest with some of everything and exactly `spare` tables left in its pool.
struct Rich : World {
  static constexpr u64 k_tables_in_use = 6;
  Rich(Paging paging, u64 spare) : World(paging, u64{2} << 30, k_tables_in_use + spare), pod(p2m) {
    large = mapped_folio(k_large, k_order_1g);
    static_cast<void>(mapped_folio(k_medium, k_order_2m));
    std::vector<mm::Folio> between;
    for (u64 i = 0; i < k_2m; ++i) {
      static_cast<void>(mapped_folio(k_scattered + i, k_order_4k));
      between.push_back(*machine.allocate(k_order_4k, DomainId{1}, mm::FrameKind::hypervisor));
    }
    between.clear();
    static_cast<void>(mapped_folio(k_lazy, k_order_2m));
    static_cast<void>(mapped_folio(k_lazy + k_2m, k_order_2m));
    REQUIRE(p2m.change_type(k_lazy, k_1g, Type::ram_rw, Type::log_dirty));
    REQUIRE(p2m.set_range(k_device, Mfn{u64{1} << 30}, k_2m, Type::mmio_direct));
    REQUIRE(pod.initialize(machine, k_1g + 7 * k_2m + 9, 8 * k_1g));
    REQUIRE(pod.accounts().cached() == 3 * k_2m + 9);
    REQUIRE(pod.add_entries(k_entry, k_1g));
    fresh = *machine.allocate(Order{11}, k_domain, mm::FrameKind::guest);
    REQUIRE(p2m.statistics().tables.used == k_tables_in_use);
    REQUIRE(check() == "");
  }
  ~Rich() { pod.destroy(); }
  Rich(const Rich&) = delete;
  Rich& operator=(const Rich&) = delete;

  pod::Pod pod;
  Mfn large{};
  mm::Folio fresh;
};

struct Operation {
  const char* name;
  std::function<Result<void>(Rich&)> run;
};

inline Result<void> counted(const Result<u64>& done) {
  if (!done) return fail(done.error());
  return {};
}
inline Result<void> taken(const Result<p2m::Taken>& done) {
  if (!done) return fail(done.error());
  return {};
}

inline const Operation k_operations[] = {
    {"set_range across a 1G leaf's start", [](Rich& w) { return w.p2m.set_range(k_large + (k_2m - 3), w.fresh.mfn() + (k_2m - 3), 2 * k_2m + 6, Type::ram_rw); }},
    {"set_range over small leaves and holes", [](Rich& w) { return w.p2m.set_range(k_scattered + 500, w.fresh.mfn() + 500, 600, Type::ram_ro); }},
    {"set_range of a folio that it cuts itself", [](Rich& w) { return w.p2m.set_range(k_large, w.large + k_2m, k_2m + 3, Type::ram_rw); }},
    {"set 4K in a 1G leaf", [](Rich& w) { return w.p2m.set(k_large + 77, w.fresh.mfn(), k_order_4k, Type::ram_rw); }},
    {"set 2M in a 1G leaf", [](Rich& w) { return w.p2m.set(k_large + k_2m, w.fresh.mfn(), k_order_2m, Type::ram_rw); }},
    {"set under a pending type", [](Rich& w) { return w.p2m.set(k_lazy + 3, w.fresh.mfn(), k_order_4k, Type::ram_rw); }},
    {"set far away", [](Rich& w) { return w.p2m.set(Gfn{u64{1} << 34}, w.fresh.mfn(), k_order_4k, Type::ram_rw); }},
    {"device in an entry", [](Rich& w) { return w.p2m.set_range(Gfn{u64{1} << 33}, Mfn{(u64{1} << 30) + 1}, 1030, Type::mmio_direct); }},
    {"unmap a part of a 1G leaf", [](Rich& w) { return w.p2m.unmap_range(k_large + 3, k_1g - 5); }},
    {"unmap across everything", [](Rich& w) { return w.p2m.unmap_range(k_medium + 5, k_large + 7 - (k_medium + 5)); }},
    {"hole of type pod", [](Rich& w) { return w.p2m.set_hole(Gfn{u64{1} << 33}, 1, Type::pod); }},
    {"hole in an entry", [](Rich& w) { return w.p2m.set_hole(k_entry + 700, 3, Type::invalid); }},
    {"emulated device", [](Rich& w) { return w.p2m.set_hole(Gfn{u64{1} << 33}, 513, Type::mmio_emulated); }},
    {"set_hole_some, one step", [](Rich& w) { Gfn gfn = k_large + 5; u64 count = 3; return w.p2m.set_hole_some(gfn, count, Type::invalid, ~u64{0}); }},
    {"change_type at both ends", [](Rich& w) { return w.p2m.change_type(k_large + (k_2m - 1), k_1g / 2, Type::ram_rw, Type::log_dirty); }},
    {"change_type in a 2M leaf", [](Rich& w) { return w.p2m.change_type(k_medium + 1, 1, Type::ram_rw, Type::ram_ro); }},
    {"change_type under a pending type", [](Rich& w) { return w.p2m.change_type(k_lazy + 1, 1, Type::log_dirty, Type::ram_ro); }},
    {"take_out 4K", [](Rich& w) { return taken(w.p2m.take_out(k_large + 9, k_order_4k, Type::pod)); }},
    {"take_out 2M", [](Rich& w) { return taken(w.p2m.take_out(k_large + k_2m, k_order_2m, Type::invalid)); }},
    {"add_entries", [](Rich& w) { return w.pod.add_entries(Gfn{u64{1} << 33} + 511, 514); }},
    {"populate", [](Rich& w) { return w.pod.populate(k_entry + 1234); }},
    {"decrease in a 1G leaf", [](Rich& w) { return counted(w.pod.decrease(k_large + 1, 2)); }},
    {"decrease in an entry", [](Rich& w) { return counted(w.pod.decrease(k_entry + 1, 2)); }},
    {"populate_ram", [](Rich& w) -> Result<void> {
       const auto backed = p2m::populate_ram(w.p2m, w.machine, Gfn{(u64{1} << 33) + 510}, 4);
       if (!backed) return fail(backed.error());
       return {};
     }},
};
}  // namespace rich
