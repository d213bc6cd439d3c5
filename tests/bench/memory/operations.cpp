// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/memory/operations.hpp"

#include "p2m/backing.hpp"

namespace octavo::bench {
namespace {
using p2m::Type;

void ok(const auto& result) { require(result.has_value(), "an operation that was to be measured"); }

volatile u64 sink;
void look(const Guest& guest, Gfn gfn) { sink = guest.p2m.lookup(gfn).mfn.value(); }

void set(Guest& guest, unsigned i, Gfn gfn) {
  ok(guest.p2m.set(gfn, guest.folios[i].mfn(), guest.folios[i].order(), Type::ram_rw));
}
void hold(Guest& guest, unsigned i, Order order) {
  if (guest.folios.size() <= i) guest.folios.resize(i + 1);
  guest.folios[i] = guest.folio(order);
}
void let_go(Guest& guest, unsigned i) { guest.folios[i].reset(); }

void own_2m(Guest& guest, unsigned i) {
  guest.make_hole(guest.at_2m(i), k_order_2m);
  guest.map_own(guest.at_2m(i), k_order_2m);
}
void own_4k(Guest& guest, unsigned i) {
  guest.cut(guest.at_2m(i), k_order_2m);
  guest.make_hole(guest.at_2m(i), k_order_4k);
  guest.map_own(guest.at_2m(i), k_order_4k);
}

void begin_and_move(Guest& guest, unsigned i, Gfn gfn) {
  ok(guest.p2m.begin_move(gfn, guest.folios[i].order(), guest.folios[i]));
  ok(guest.p2m.continue_move(~u64{0}));
}

void to_entry(Guest& guest, Gfn gfn, u64 frames) {
  ok(guest.pod.decrease(gfn, frames));
  while (guest.pod.accounts().in_transit > 0) static_cast<void>(guest.pod.tidy(~u64{0}));  // a gigabyte is zeroed when there is time
  ok(guest.pod.add_entries(gfn, frames));
}

void whole(Guest& guest, Type from, Type to) { ok(guest.p2m.change_type(Gfn{0}, guest.p2m.limit() - Gfn{0}, from, to)); }
void log_all(Guest& guest, unsigned) { whole(guest, Type::ram_rw, Type::log_dirty); }
void log_none(Guest& guest, unsigned) { whole(guest, Type::log_dirty, Type::ram_rw); }
void log_memory(Guest& guest, unsigned) { ok(guest.p2m.change_type(Gfn{0}, guest.frames(), Type::ram_rw, Type::log_dirty)); }
void audit(Guest& guest, unsigned) { require(guest.p2m.audit().clean(), "a clean audit"); }

u8 buffer[64];

const Operation k_operations[] = {
    {"lookup 1G leaf", Shape::leaves_1g, Places::at_1g, [](Guest& g, unsigned i) { look(g, g.at_1g(i) + 777); }},
    {"lookup 2M leaf", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { look(g, g.at_2m(i) + 77); }},
    {"lookup 4K leaf", Shape::leaves_4k, Places::at_2m, [](Guest& g, unsigned i) { look(g, g.at_2m(i) + 77); }},
    {"lookup hole", Shape::empty, Places::at_1g, [](Guest& g, unsigned i) { look(g, g.at_1g(i)); }},

    {"set 1G in a hole", Shape::leaves_1g, Places::at_1g, [](Guest& g, unsigned i) { set(g, i, g.at_1g(i)); },
     [](Guest& g, unsigned i) { g.make_hole(g.at_1g(i), k_order_1g); hold(g, i, k_order_1g); }, let_go},
    {"set 2M in a hole", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { set(g, i, g.at_2m(i)); },
     [](Guest& g, unsigned i) { g.make_hole(g.at_2m(i), k_order_2m); hold(g, i, k_order_2m); }, let_go},
    {"set 4K in a hole", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { set(g, i, g.at_2m(i)); },
     [](Guest& g, unsigned i) { own_4k(g, i); g.make_hole(g.at_2m(i), k_order_4k); hold(g, i, k_order_4k); }, let_go},
    {"unmap 1G, its own folio", Shape::leaves_1g, Places::at_1g, [](Guest& g, unsigned i) { g.make_hole(g.at_1g(i), k_order_1g); },
     [](Guest& g, unsigned i) { g.make_hole(g.at_1g(i), k_order_1g); g.map_own(g.at_1g(i), k_order_1g); }},
    {"unmap 2M, its own folio", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { g.make_hole(g.at_2m(i), k_order_2m); }, own_2m},
    {"unmap 4K, its own folio", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { g.make_hole(g.at_2m(i), k_order_4k); }, own_4k},
    {"unmap 4K out of a 2M leaf and folio", Shape::leaves_2m, Places::at_2m,
     [](Guest& g, unsigned i) { g.make_hole(g.at_2m(i) + 5, k_order_4k); }, own_2m},
    {"take_out 2M, its own folio", Shape::leaves_2m, Places::at_2m,
     [](Guest& g, unsigned i) { ok(g.p2m.take_out(g.at_2m(i), k_order_2m, Type::invalid)); }, own_2m},

    {"split 1G (change_type of 2M)", Shape::leaves_1g, Places::at_1g,
     [](Guest& g, unsigned i) { ok(g.p2m.change_type(g.at_1g(i) + k_2m, k_2m, Type::ram_rw, Type::ram_ro)); }, nullptr,
     [](Guest& g, unsigned i) { ok(g.p2m.change_type(g.at_1g(i) + k_2m, k_2m, Type::ram_ro, Type::ram_rw)); ok(g.p2m.promote(g.at_1g(i), k_order_1g)); }},
    {"split 2M (change_type of 4K)", Shape::leaves_2m, Places::at_2m,
     [](Guest& g, unsigned i) { ok(g.p2m.change_type(g.at_2m(i) + 1, 1, Type::ram_rw, Type::ram_ro)); }, nullptr,
     [](Guest& g, unsigned i) { ok(g.p2m.change_type(g.at_2m(i) + 1, 1, Type::ram_ro, Type::ram_rw)); ok(g.p2m.promote(g.at_2m(i), k_order_2m)); }},
    {"promote to 1G in place", Shape::leaves_1g, Places::at_1g, [](Guest& g, unsigned i) { ok(g.p2m.promote(g.at_1g(i), k_order_1g)); },
     [](Guest& g, unsigned i) { g.cut(g.at_1g(i), k_order_1g); }},
    {"promote to 2M in place", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { ok(g.p2m.promote(g.at_2m(i), k_order_2m)); },
     [](Guest& g, unsigned i) { g.cut(g.at_2m(i), k_order_2m); }},
    {"promote to 1G by copying 1G", Shape::leaves_1g, Places::once, [](Guest& g, unsigned i) { begin_and_move(g, i, g.at_1g(i)); },
     [](Guest& g, unsigned i) { g.scatter(g.at_1g(i), k_order_1g); hold(g, i, k_order_1g); }, nullptr, Timing::never},
    {"promote to 2M by copying 2M", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { begin_and_move(g, i, g.at_2m(i)); },
     [](Guest& g, unsigned i) { g.scatter(g.at_2m(i), k_order_2m); hold(g, i, k_order_2m); }},

    {"populate 1G", Shape::pod_1g, Places::at_1g, [](Guest& g, unsigned i) { ok(g.pod.populate(g.at_1g(i) + 5)); }, nullptr,
     [](Guest& g, unsigned i) { to_entry(g, g.at_1g(i), k_1g); }},
    {"populate 2M", Shape::pod_2m, Places::at_2m, [](Guest& g, unsigned i) { ok(g.pod.populate(g.at_2m(i) + 5)); }, nullptr,
     [](Guest& g, unsigned i) { to_entry(g, g.at_2m(i), k_2m); }},
    {"populate 4K, entries split before", Shape::pod_little, Places::at_2m, [](Guest& g, unsigned i) { ok(g.pod.populate(g.at_2m(i) + 5)); },
     [](Guest& g, unsigned i) { ok(g.pod.populate(g.at_2m(i))); },
     [](Guest& g, unsigned i) { to_entry(g, g.at_2m(i), 1); to_entry(g, g.at_2m(i) + 5, 1); }},
    {"populate 4K, splits 1G and 2M entries", Shape::pod_little, Places::at_1g, [](Guest& g, unsigned i) { ok(g.pod.populate(g.at_1g(i) + 5)); }, nullptr,
     [](Guest& g, unsigned i) { to_entry(g, g.at_1g(i) + 5, 1); }},

    {"sweep, one look: an entry", Shape::pod_2m, Places::at_2m, [](Guest& g, unsigned) { g.pod.sweep(k_order_2m, 1); }},
    {"sweep, one look: 2M in use", Shape::pod_2m, Places::at_2m, [](Guest& g, unsigned) { g.pod.sweep(k_order_2m, 1); },
     [](Guest& g, unsigned i) {
       const Gfn gfn{i * k_2m};
       ok(g.pod.populate(gfn));
       g.p2m.mark_written(gfn, 1);
       *g.simulated.at(to_hpa(g.p2m.lookup(gfn).mfn)) = 1;
     }, nullptr, Timing::fresh},
    {"sweep, 2M back: never written", Shape::pod_2m, Places::at_2m, [](Guest& g, unsigned) { g.pod.sweep(k_order_2m, 1); },
     [](Guest& g, unsigned i) { ok(g.pod.populate(Gfn{i * k_2m})); }, nullptr, Timing::fresh},
    {"sweep, 2M back: found zero", Shape::pod_2m, Places::at_2m, [](Guest& g, unsigned) { g.pod.sweep(k_order_2m, 1); },
     [](Guest& g, unsigned i) { ok(g.pod.populate(Gfn{i * k_2m})); g.p2m.mark_written(Gfn{i * k_2m}, 1); }, nullptr, Timing::fresh},

    {"change_type whole domain, 1G leaves", Shape::leaves_1g, Places::once, log_all, nullptr, log_none},
    {"change_type whole domain, 2M leaves", Shape::leaves_2m, Places::once, log_all, nullptr, log_none},
    {"change_type whole domain, 4K leaves", Shape::leaves_4k, Places::once, log_all, nullptr, log_none},
    {"change_type memory only, 2M leaves", Shape::leaves_2m, Places::once, log_memory, nullptr, log_none},
    {"push_down at a fault, 1G table", Shape::leaves_2m, Places::at_1g, [](Guest& g, unsigned i) { g.p2m.push_down(g.at_1g(i)); },
     [](Guest& g, unsigned i) { if (i == 0) log_all(g, i); }, [](Guest& g, unsigned i) { if (i == 0) log_none(g, i); }},

    {"mark_written one frame", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { g.p2m.mark_written(g.at_2m(i), 1); }},
    {"write_guest 64 bytes", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { ok(p2m::write_guest(g.p2m, to_gpa(g.at_2m(i)), buffer)); }},
    {"read_guest 64 bytes", Shape::leaves_2m, Places::at_2m, [](Guest& g, unsigned i) { ok(p2m::read_guest(g.p2m, to_gpa(g.at_2m(i)), buffer)); }},

    {"audit, 1G leaves", Shape::leaves_1g, Places::once, audit},
    {"audit, 2M leaves", Shape::leaves_2m, Places::once, audit},
    {"audit, 4K leaves", Shape::leaves_4k, Places::once, audit, nullptr, nullptr, Timing::often, 256},
};
}  // namespace

std::span<const Operation> operations() { return k_operations; }
}  // namespace octavo::bench
