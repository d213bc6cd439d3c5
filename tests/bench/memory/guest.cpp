// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/memory/guest.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

namespace octavo::bench {
using p2m::Type;

void require(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "bench: the memory core refused: %s\n", what);
  std::exit(1);
}

const char* name_of(Shape shape) {
  switch (shape) {
    case Shape::empty: return "empty";
    case Shape::leaves_1g: return "1G leaves";
    case Shape::leaves_2m: return "2M leaves";
    case Shape::leaves_4k: return "4K leaves";
    case Shape::pod_1g: return "1G entries";
    case Shape::pod_2m: return "2M entries";
    case Shape::pod_little: return "1G entries, 511 frames";
  }
  return "";
}

namespace {
/// The guest, twice the tables of its 4K worst case, the frame table, and room for what operations allocate.
u64 machine_bytes(u64 gib) { return (gib + gib / 64 + gib / 128 + 6) << 30; }
bool is_pod(Shape shape) { return shape >= Shape::pod_1g; }
p2m::OrderSet orders_of(Shape shape) {
  return shape == Shape::pod_2m ? p2m::OrderSet{k_order_4k, k_order_2m} : p2m::k_all_orders;
}
}  // namespace

Guest::Guest(u64 gib_of_it, Shape shape_of_it) : gib(gib_of_it), shape(shape_of_it), simulated(machine_bytes(gib_of_it)) {
  // Records of folios lie far apart: with large pages of the host each would cost 2M.
  madvise(simulated.at(Hpa{0}), simulated.frames() << k_page_shift, MADV_NOHUGEPAGE);
  const arch::MemoryRange ram[] = {{Hpa{0}, simulated.frames() << k_page_shift}};
  require(machine.initialize(ram, ram, mm::Contents::zero).has_value(), "a machine");
  const p2m::FrameRange memory[] = {{Gfn{0}, frames()}};
  require(p2m.initialize(machine, {.domain = k_domain, .orders = orders_of(shape), .tag = arch::TlbTag{5},
                                   .table_frames = p2m::table_frames_for(memory)}).has_value(), "a p2m");
  if (is_pod(shape)) {
    require(pod.initialize(machine, shape == Shape::pod_little ? k_2m - 1 : frames(), frames()).has_value(), "a PoD target");
    require(pod.add_entries(Gfn{0}, frames()).has_value(), "PoD entries");
  } else if (shape != Shape::empty) {
    back();
  }
}

void Guest::count_tables() {
  simulated.on_map = [this](Mfn mfn) {
    const u64 blocks = model::work.blocks;  // counting is no work of the core's
    const mm::Frame* frame = machine.table().find(mfn);
    if (frame != nullptr && frame->state().kind() == mm::FrameKind::table) ++model::work.tables;
    model::work.blocks = blocks;
  };
}

Guest::~Guest() {
  folios.clear();
  pod.destroy();
  p2m.destroy();
  simulated.on_map = nullptr;
}

void Guest::back() {
  for (u64 i = 0; i < gib; ++i) {
    const Gfn gfn{i * k_1g};
    map_own(gfn, k_order_1g);
    if (shape == Shape::leaves_1g) continue;
    cut(gfn, k_order_1g);
    if (shape == Shape::leaves_2m) continue;
    for (u64 part = 0; part < 512; ++part) cut(gfn + part * k_2m, k_order_2m);
  }
}

void Guest::cut(Gfn gfn, Order order) {
  if (p2m.lookup(gfn).order != order) return;
  const u64 part = order.frames() / 512;
  require(p2m.change_type(gfn, part, Type::ram_rw, Type::ram_ro).has_value(), "change_type");
  require(p2m.change_type(gfn, part, Type::ram_ro, Type::ram_rw).has_value(), "change_type");
}

mm::Folio Guest::folio(Order order) {
  Result<mm::Folio> folio = machine.allocate(order, k_domain, mm::FrameKind::guest, mm::Contents::any);
  require(folio.has_value(), "a folio");
  return std::move(*folio);
}

void Guest::map_own(Gfn gfn, Order order) {
  const mm::Folio own = folio(order);
  require(p2m.set(gfn, own.mfn(), order, Type::ram_rw).has_value(), "set");
}

void Guest::scatter(Gfn gfn, Order order) {
  make_hole(gfn, order);
  const Order part = p2m::order_of_level(p2m::level_of_order(order) - 1);
  for (u64 i = 512; i-- > 0;) map_own(gfn + i * part.frames(), part);
}
}  // namespace octavo::bench
