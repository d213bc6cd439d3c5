// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/memory/sections.hpp"

#include "p2m/backing.hpp"

namespace octavo::bench {
namespace {
using p2m::Type;

void ok(const auto& result) { require(result.has_value(), "a call that was to be counted"); }
void unfinished(const Result<void>& result) { require(!result && result.error() == Error::again, "a call that was to be cut short"); }

/// The first gigabyte in 4K leaves, over one folio or over one for each.
void leaves_over_one_folio(Guest& guest) {
  guest.cut(Gfn{0}, k_order_1g);
  for (u64 i = 0; i < 512; ++i) guest.cut(Gfn{i * k_2m}, k_order_2m);
}
void leaves_over_4k_folios(Guest& guest) {
  guest.make_hole(Gfn{0}, k_order_1g);
  for (u64 i = 0; i < 512; ++i) guest.scatter(Gfn{i * k_2m}, k_order_2m);
}
void hold_1g(Guest& guest) { guest.folios.push_back(guest.folio(k_order_1g)); }
void begin_move(Guest& guest) { ok(guest.p2m.begin_move(Gfn{0}, k_order_1g, guest.folios[0])); }
void prepare_move(Guest& guest) {
  guest.scatter(Gfn{0}, k_order_1g);
  hold_1g(guest);
}
void copy_all_but_one_frame(Guest& guest) {
  prepare_move(guest);
  begin_move(guest);
  unfinished(guest.p2m.continue_move(k_1g - 1));
}

/// Everything populated but the last 2M, nothing in the cache.
void populate_most(Guest& guest) {
  ok(guest.pod.set_target(guest.frames() - k_2m));
  for (u64 gfn = 0; gfn < guest.frames() - k_2m; gfn += k_2m) ok(guest.pod.populate(Gfn{gfn}));
}
/// And what an emergency sweep will look at is in use: the first leaves in each frame, where a quick look does not see it.
void use_most(Guest& guest) {
  populate_most(guest);
  const auto write = [&](u64 gfn, u64 byte) { *guest.simulated.at(to_hpa(guest.p2m.lookup(Gfn{gfn}).mfn) + byte) = 1; };
  for (u64 leaf = 0; leaf < 2 * 16384 && (leaf + 1) * k_2m < guest.frames(); ++leaf) {
    guest.p2m.mark_written(Gfn{leaf * k_2m}, 1);
    if (leaf >= 64) write(leaf * k_2m + 448, k_page_size - 8);
    for (u64 i = 0; leaf < 64 && i < k_2m; ++i) write(leaf * k_2m + i, k_page_size - 16);
  }
}
/// One call: whether it already says that there is none, or wants to be called again, depends on how much there is to look at.
void populate_last(Guest& guest) {
  const Result<void> populated = guest.pod.populate(Gfn{guest.frames() - 1});
  require(!populated && (populated.error() == Error::out_of_memory || populated.error() == Error::again), "a populate without memory");
}
void populate_first_1g(Guest& guest) { ok(guest.pod.populate(Gfn{0})); }

/// The last gigabyte goes, so that its 1G is what the cache can copy into; the first is in 2M folios of its own.
void prepare_pod_move(Guest& guest) {
  for (u64 i = 512; i-- > 0;) guest.map_own(Gfn{i * k_2m}, k_order_2m);
}
void prepare_last_step_of_pod_move(Guest& guest) {
  prepare_pod_move(guest);
  unfinished(guest.pod.promote(Gfn{0}, k_order_1g, k_1g - 1));
}

const EntryPoint k_entry_points[] = {
    {"P2m::initialize", "pool for all of it in 4K", Shape::empty,
     [](Guest& g) {
       const p2m::FrameRange memory[] = {{Gfn{0}, g.frames()}};
       ok(g.p2m.initialize(g.machine, {.domain = k_domain, .table_frames = p2m::table_frames_for(memory)}));
     },
     [](Guest& g) { g.p2m.destroy(); }},
    {"populate_ram", "all memory, in 1G", Shape::empty, [](Guest& g) { ok(p2m::populate_ram(g.p2m, g.machine, Gfn{0}, g.frames())); }},
    {"P2m::set", "1G over 4K leaves, 4K folios", Shape::leaves_1g,
     [](Guest& g) { ok(g.p2m.set(Gfn{0}, g.folios[0].mfn(), k_order_1g, Type::ram_rw)); },
     [](Guest& g) { leaves_over_4k_folios(g); hold_1g(g); }},
    {"P2m::set_range", "a device as large as the guest", Shape::empty,
     [](Guest& g) { ok(g.p2m.set_range(Gfn{0}, Mfn{u64{1} << 36}, g.frames(), Type::mmio_direct)); }},
    {"P2m::set_hole", "all memory, 2M leaves", Shape::leaves_2m, [](Guest& g) { ok(g.p2m.set_hole(Gfn{0}, g.frames(), Type::invalid)); }},
    {"P2m::set_hole", "4K, 4K leaves over a 1G folio", Shape::leaves_1g, [](Guest& g) { ok(g.p2m.set_hole(Gfn{5}, 1, Type::invalid)); }, leaves_over_one_folio},
    {"P2m::set_hole_some", "budget 512, 4K leaves and folios", Shape::leaves_1g,
     [](Guest& g) { Gfn gfn{0}; u64 count = g.frames(); unfinished(g.p2m.set_hole_some(gfn, count, Type::invalid, 512)); }, leaves_over_4k_folios},
    {"P2m::set_hole_some", "budget 512, 4K leaves over a 1G folio", Shape::leaves_1g,
     [](Guest& g) { Gfn gfn{0}; u64 count = g.frames(); unfinished(g.p2m.set_hole_some(gfn, count, Type::invalid, 512)); }, leaves_over_one_folio},
    {"P2m::take_out", "1G", Shape::leaves_1g, [](Guest& g) { ok(g.p2m.take_out(Gfn{0}, k_order_1g, Type::invalid)); }},
    {"P2m::take_out", "4K, 4K leaves over a 1G folio", Shape::leaves_1g, [](Guest& g) { ok(g.p2m.take_out(Gfn{5}, k_order_4k, Type::invalid)); }, leaves_over_one_folio},
    {"P2m::change_type", "whole domain, to log_dirty", Shape::leaves_2m,
     [](Guest& g) { ok(g.p2m.change_type(Gfn{0}, g.p2m.limit() - Gfn{0}, Type::ram_rw, Type::log_dirty)); }},
    {"P2m::change_type", "all memory to ram_ro, 2M leaves", Shape::leaves_2m, [](Guest& g) { ok(g.p2m.change_type(Gfn{0}, g.frames(), Type::ram_rw, Type::ram_ro)); }},
    {"P2m::push_down", "two tables", Shape::leaves_2m, [](Guest& g) { g.p2m.push_down(Gfn{5}); },
     [](Guest& g) { ok(g.p2m.change_type(Gfn{0}, g.p2m.limit() - Gfn{0}, Type::ram_rw, Type::log_dirty)); }},
    {"P2m::mark_written", "all memory, 2M leaves", Shape::leaves_2m, [](Guest& g) { g.p2m.mark_written(Gfn{0}, g.frames()); }},
    {"P2m::promote", "to 1G in place", Shape::leaves_1g, [](Guest& g) { ok(g.p2m.promote(Gfn{0}, k_order_1g)); }, [](Guest& g) { g.cut(Gfn{0}, k_order_1g); }},
    {"P2m::begin_move", "to 1G", Shape::leaves_1g, begin_move, prepare_move},
    {"P2m::continue_move", "budget 64", Shape::leaves_1g, [](Guest& g) { unfinished(g.p2m.continue_move(64)); }, [](Guest& g) { prepare_move(g); begin_move(g); }},
    {"P2m::continue_move", "budget 64, the last step", Shape::leaves_1g, [](Guest& g) { ok(g.p2m.continue_move(64)); }, copy_all_but_one_frame},
    {"P2m::abort_move", "to 1G", Shape::leaves_1g, [](Guest& g) { g.p2m.abort_move(); }, copy_all_but_one_frame},
    {"P2m::destroy_some", "budget 512, 4K leaves and folios", Shape::leaves_1g, [](Guest& g) { static_cast<void>(g.p2m.destroy_some(512)); }, leaves_over_4k_folios},
    {"P2m::destroy_some", "budget 512, the last step", Shape::leaves_2m, [](Guest& g) { while (!g.p2m.destroy_some(512)) {} }},
    {"P2m::destroy", "2M leaves", Shape::leaves_2m, [](Guest& g) { g.p2m.destroy(); }},
    {"P2m::audit", "2M leaves", Shape::leaves_2m, [](Guest& g) { require(g.p2m.audit().clean(), "a clean audit"); }},
    {"P2m::statistics", "", Shape::leaves_2m, [](Guest& g) { static_cast<void>(g.p2m.statistics()); }},

    {"Pod::initialize", "the target is all memory", Shape::empty, [](Guest& g) { ok(g.pod.initialize(g.machine, g.frames(), g.frames())); }},
    {"Pod::add_entries", "all memory, 1G", Shape::empty, [](Guest& g) { ok(g.pod.add_entries(Gfn{0}, g.frames())); }},
    {"Pod::add_entries", "all memory, 2M", Shape::pod_2m, [](Guest& g) { ok(g.pod.add_entries(Gfn{0}, g.frames())); }},
    {"Pod::set_target", "down to 0, the cache in 1G", Shape::pod_1g, [](Guest& g) { ok(g.pod.set_target(0)); }},
    {"Pod::populate", "1G", Shape::pod_1g, populate_first_1g},
    {"Pod::populate", "4K, splits 1G and 2M entries", Shape::pod_little, populate_first_1g},
    {"Pod::populate", "no memory, all in use", Shape::pod_2m, populate_last, use_most},
    {"Pod::populate", "no memory, all of it pending, unwritten", Shape::pod_2m, populate_last,
     [](Guest& g) { populate_most(g); ok(g.pod.set_target(0)); }},
    {"Pod::decrease", "budget 1: one 1G", Shape::pod_1g, [](Guest& g) { ok(g.pod.decrease(Gfn{0}, k_1g, 1)); }, populate_first_1g},
    {"Pod::decrease", "budget 64: entries, 1G", Shape::pod_1g, [](Guest& g) { ok(g.pod.decrease(Gfn{0}, g.frames(), 64)); }},
    {"Pod::sweep", "budget 64, 2M: found zero", Shape::pod_2m, [](Guest& g) { g.pod.sweep(k_order_2m, 64); },
     [](Guest& g) { for (u64 i = 0; i < 64; ++i) { ok(g.pod.populate(Gfn{i * k_2m})); g.p2m.mark_written(Gfn{i * k_2m}, 1); } }},
    {"Pod::sweep", "budget 64, 1G: found zero", Shape::pod_1g, [](Guest& g) { g.pod.sweep(k_order_1g, 64); },
     [](Guest& g) { populate_first_1g(g); g.p2m.mark_written(Gfn{0}, 1); }},
    {"Pod::promote", "budget 64, to 1G by copying", Shape::pod_1g, [](Guest& g) { unfinished(g.pod.promote(Gfn{0}, k_order_1g, 64)); }, prepare_pod_move},
    {"Pod::promote", "budget 64, the last step", Shape::pod_1g, [](Guest& g) { ok(g.pod.promote(Gfn{0}, k_order_1g, 64)); }, prepare_last_step_of_pod_move},
    {"Pod::accounts", "", Shape::pod_2m, [](Guest& g) { static_cast<void>(g.pod.accounts()); }},
    {"Pod::destroy", "the cache in 1G", Shape::pod_1g, [](Guest& g) { g.pod.destroy(); }},
};
}  // namespace

std::span<const EntryPoint> entry_points() { return k_entry_points; }
}  // namespace octavo::bench
