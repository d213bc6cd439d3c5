// SPDX-License-Identifier: Apache-2.0
#include "p2m/p2m.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <map>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
const Paging k_pagings[] = {Paging::npt, Paging::ept};
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
}  // namespace

TEST_CASE("P3: an empty p2m is one hole of the largest order") {
  for (const Paging paging : k_pagings) {
    World world(paging, u64{1} << 28);
    const p2m::Translation hole = world.p2m.lookup(Gfn{12345});
    CHECK(hole.type == Type::invalid);
    CHECK(hole.order == k_order_512g);
    CHECK_FALSE(hole.access.any());
    CHECK(world.p2m.lookup(Gfn{~u64{0}}).type == Type::invalid);
    CHECK(world.p2m.lookup(world.p2m.limit()).type == Type::invalid);
    CHECK(world.check() == "");
  }
}

TEST_CASE("P5: a range takes the largest leaves that both alignments permit") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    {
      const auto folio = world.machine.allocate(k_order_1g, World::k_domain, mm::FrameKind::guest);
      REQUIRE(folio);
      // 4K up to the 2M boundary, 2M leaves, and a tail.
      REQUIRE(world.p2m.set_range(Gfn{k_1g + k_2m - 3}, folio->mfn() + (k_2m - 3), 3 + 2 * k_2m + 5, Type::ram_rw));
    }
    CHECK(world.p2m.lookup(Gfn{k_1g + k_2m - 1}).order == k_order_4k);
    CHECK(world.p2m.lookup(Gfn{k_1g + k_2m}).order == k_order_2m);
    CHECK(world.p2m.lookup(Gfn{k_1g + 2 * k_2m + 511}).order == k_order_2m);
    CHECK(world.p2m.lookup(Gfn{k_1g + 3 * k_2m + 4}).order == k_order_4k);
    CHECK(world.p2m.lookup(Gfn{k_1g + 3 * k_2m + 5}).type == Type::invalid);
    const auto statistics = world.p2m.statistics();
    CHECK(statistics.leaves[0][static_cast<int>(Type::ram_rw)] == 8);
    CHECK(statistics.leaves[1][static_cast<int>(Type::ram_rw)] == 2);
    CHECK(world.check() == "");
  }
}

TEST_CASE("P6: a split keeps every translation, every A and D, and needs no flush") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const Mfn mfn = world.mapped_folio(Gfn{k_1g}, k_order_1g);
    REQUIRE(world.tlb0.access(world.root(), k_1g + 77, true) == mfn.value() + 77);
    world.tlb0.settle_marks();
    const u64 flushes = world.simulated.flushes;
    REQUIRE(world.p2m.change_type(Gfn{k_1g + 5}, 1, Type::ram_rw, Type::ram_ro));
    CHECK(world.simulated.flushes == flushes + 1);  // for the right that was taken, not for the splits
    CHECK(world.p2m.statistics().splits[static_cast<int>(p2m::SplitCause::change_type)] == 2);
    for (const u64 at : {u64{0}, u64{5}, u64{511}, u64{512}, k_1g - 1}) {
      const p2m::Translation there = world.p2m.lookup(Gfn{k_1g + at});
      CHECK(there.mfn == mfn + at);
      CHECK(there.dirty);
      CHECK(there.accessed);
      CHECK(there.type == (at == 5 ? Type::ram_ro : Type::ram_rw));
      CHECK(there.order == (at < k_2m ? k_order_4k : k_order_2m));
      CHECK(world.difference(Gfn{k_1g + at}) == "");
    }
    CHECK(world.check() == "");
  }
}

TEST_CASE("P6, P13: a concurrent walker sees the old or the new translation after every single store") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_1g);
    const auto other = world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::guest);
    REQUIRE(other);
    const u64 probes[] = {0, 1, 600, 601, 602, 1024, k_1g - 1};
    std::map<u64, model::NestedWalk> before, after;
    for (const u64 gfn : probes) before[gfn] = world.walk(Gfn{gfn});
    model::StoreLog log;
    REQUIRE(world.p2m.set(Gfn{601}, other->mfn(), k_order_4k, Type::ram_rw));
    for (const u64 gfn : probes) after[gfn] = world.walk(Gfn{gfn});
    REQUIRE(log.stores().size() == 3);  // two links and the leaf
    CHECK(after[601].mfn == other->mfn().value());
    log.for_each_state([&](std::size_t) {
      for (const u64 gfn : probes) {
        const model::NestedWalk now = world.walk(Gfn{gfn});
        REQUIRE((now == before[gfn] || now == after[gfn]));
        if (gfn != 601) REQUIRE(now.mfn == mfn.value() + gfn);
      }
    });
    CHECK(world.check() == "");
  }
}

TEST_CASE("P13: A and D that hardware sets while an entry is being split are kept") {
  for (const Paging paging : k_pagings) {
    for (int moment = 0; moment < 12; ++moment) {
      World world(paging);
      const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_1g);
      REQUIRE(world.tlb0.access(world.root(), 3, false) == mfn.value() + 3);
      world.tlb0.settle_marks();
      // The processor, which knows the translation, writes through it at one of the moments between the split's steps.
      int now = 0;
      bool wrote = false;
      world.simulated.on_map = [&](Mfn) {
        if (now++ == moment) wrote = world.tlb0.access(world.root(), 3, true).has_value();
      };
      REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::log_dirty));
      world.simulated.on_map = nullptr;
      REQUIRE(wrote);
      REQUIRE(now >= 12);
      CHECK(world.p2m.lookup(Gfn{3}).dirty);
      CHECK(world.check() == "");
    }
  }
}

TEST_CASE("P11: memory with a live leaf cannot be freed, the last leaf frees it, after the flush") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const Mfn mfn = world.mapped_folio(Gfn{k_2m}, k_order_2m);
    REQUIRE(world.p2m.set_range(Gfn{8 * k_2m}, mfn, k_2m, Type::ram_ro));  // a second mapping of the same folio
    CHECK(world.machine.folio_at(mfn)->references == 2 * k_2m);
    REQUIRE(world.tlb1.access(world.root(), k_2m + 1, true) == mfn.value() + 1);
    REQUIRE(world.p2m.unmap_range(Gfn{k_2m}, k_2m));
    CHECK(world.machine.folio_at(mfn)->references == k_2m);
    CHECK(world.tlb1.size() == 0);
    REQUIRE(world.p2m.unmap_range(Gfn{8 * k_2m}, k_2m));
    const auto folio = world.machine.folio_at(mfn);
    CHECK((!folio || folio->kind == mm::FrameKind::free_dirty));
    CHECK(world.check() == "");
  }
}

TEST_CASE("F3, P11: unmapping a part of a folio frees exactly that part") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const u64 free = world.machine.statistics().free_frames();
    const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_1g);
    REQUIRE(world.p2m.unmap_range(Gfn{k_2m + 7}, 600));
    CHECK(world.machine.statistics().free_frames() == free - k_1g + 600);
    CHECK(world.p2m.lookup(Gfn{k_2m + 6}).mfn == mfn + k_2m + 6);
    CHECK(world.p2m.lookup(Gfn{k_2m + 7 + 600}).mfn == mfn + k_2m + 607);
    CHECK(world.p2m.lookup(Gfn{k_2m + 7}).type == Type::invalid);
    CHECK(world.check() == "");
    world.p2m.destroy();
    CHECK(world.machine.statistics().free_frames() == world.free_at_start);
  }
}

TEST_CASE("F3: a part of a folio that somebody else refers to stays where it is: busy, and nothing changed") {
  World world(GENERATE(Paging::npt, Paging::ept));
  const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
  {
    const auto pin = world.machine.reference(mfn + 9, k_order_4k, World::k_domain, mm::FrameKind::guest);
    REQUIRE(pin);
    CHECK(world.p2m.unmap_range(Gfn{9}, 1).error() == Error::busy);
    CHECK(world.p2m.lookup(Gfn{9}).mfn == mfn + 9);
    CHECK(world.check() == "");
  }
  CHECK(world.p2m.unmap_range(Gfn{9}, 1));
  CHECK(world.check() == "");
}

TEST_CASE("F3, P5: a reference that is taken in the middle of an operation makes it fail, and leaves nothing that does not fit together") {
  // Both ends of the range cut a folio. Somebody pins the second one at each moment in turn.
  for (const bool hole : {true, false}) {
    int failures = 0;
    for (int moment = 0;; ++moment) {
      World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30);
      static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
      const Mfn second = world.mapped_folio(Gfn{k_2m}, k_order_2m);
      auto fresh = world.machine.allocate(Order{10}, World::k_domain, mm::FrameKind::guest);
      REQUIRE(fresh);
      mm::Folio pin;
      int now = 0;
      world.simulated.on_map = [&](Mfn) {
        if (now++ != moment) return;
        if (auto reference = world.machine.reference(second + 9, k_order_4k, World::k_domain, mm::FrameKind::guest)) pin = std::move(*reference);
      };
      const Result<void> done = hole ? world.p2m.unmap_range(Gfn{500}, 100) : world.p2m.set_range(Gfn{500}, fresh->mfn(), 100, Type::ram_rw);
      world.simulated.on_map = nullptr;
      INFO("pinned at " << moment << " of " << now);
      CHECK(world.check() == "");
      CHECK(world.difference(Gfn{499}) == "");
      if (!done) {
        ++failures;
        CHECK(done.error() == Error::busy);
        CHECK(world.p2m.lookup(Gfn{500}).type == Type::ram_rw);
        CHECK(world.p2m.lookup(Gfn{k_2m + 9}).mfn == second + 9);
        CHECK(world.machine.folio_at(fresh->mfn())->references == 1);
      }
      pin.reset();
      fresh->reset();
      CHECK(world.p2m.unmap_range(Gfn{0}, 2 * k_2m));
      CHECK(world.check() == "");
      if (now <= moment) break;
    }
    CHECK(failures > 2);
  }
}

TEST_CASE("D9, P5: illegal input is an error and changes nothing") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30);
  const auto folio = world.machine.allocate(k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  const Mfn mfn = folio->mfn();
  const u64 huge = ~u64{0};
  const Mfn outside{(u64{1} << 30) >> k_page_shift};
  CHECK(world.p2m.set(Gfn{1}, mfn, k_order_2m, Type::ram_rw).error() == Error::misaligned);
  CHECK(world.p2m.set(Gfn{0}, mfn + 1, k_order_2m, Type::ram_rw).error() == Error::misaligned);
  CHECK(world.p2m.set(Gfn{0}, mfn, Order{3}, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.p2m.set(Gfn{0}, mfn, k_order_4k, Type::pod).error() == Error::invalid_argument);
  CHECK(world.p2m.set_range(Gfn{0}, mfn, 0, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.p2m.set_range(Gfn{0}, mfn, huge, Type::ram_rw).error() == Error::out_of_range);
  CHECK(world.p2m.set_range(Gfn{huge}, mfn, 2, Type::ram_rw).error() == Error::out_of_range);
  CHECK(world.p2m.set_range(Gfn{0}, Mfn{huge}, 2, Type::ram_rw).error() == Error::out_of_range);
  CHECK(world.p2m.set_range(Gfn{0}, mfn + 510, 3, Type::ram_rw).error() == Error::not_found);  // half outside of the folio
  CHECK(world.p2m.set_range(Gfn{0}, mfn, 1, Type::mmio_direct).error() == Error::not_owner);
  CHECK(world.p2m.set_hole(Gfn{0}, 1, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.p2m.set_hole(Gfn{0}, 1, Type::transit).error() == Error::invalid_argument);
  CHECK(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::pod).error() == Error::invalid_argument);
  CHECK(world.machine.folio_at(mfn)->references == 1);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_512g);
  REQUIRE(world.p2m.set_range(Gfn{0}, outside, 16, Type::mmio_direct));
  CHECK(world.p2m.set(Gfn{0}, mfn, k_order_4k, Type::ram_rw).error() == Error::exists);
  CHECK(world.p2m.set_hole(Gfn{0}, 4, Type::pod).error() == Error::exists);
  CHECK(world.difference(Gfn{3}) == "");
  CHECK(world.p2m.unmap_range(Gfn{0}, 16));
  CHECK(world.check() == "");
}

TEST_CASE("P12: a listener hears of the range before the memory is anyone else's, and never for what gives more") {
  struct Ear final : p2m::Listener {
    World* world = nullptr;
    Mfn mfn{};
    int calls = 0;
    void unlinked(Gfn first, u64 count) override {
      ++calls;
      CHECK(first == Gfn{k_2m});
      CHECK(count == k_2m);
      CHECK(world->machine.folio_at(mfn)->references >= k_2m);
      CHECK(world->p2m.lookup(first).type == Type::invalid);
    }
  } ear;
  World world(Paging::ept);
  ear.world = &world;
  world.p2m.set_listener(&ear);
  ear.mfn = world.mapped_folio(Gfn{k_2m}, k_order_2m);
  CHECK(ear.calls == 0);
  CHECK(world.simulated.flushes == 0);
  REQUIRE(world.p2m.unmap_range(Gfn{k_2m}, k_2m));
  CHECK(ear.calls == 1);
  CHECK(world.simulated.flushes == 1);
  world.p2m.set_listener(nullptr);
}

TEST_CASE("F7: the pool of the computed size serves the all-4K worst case exactly") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 30, 1);
  const p2m::FrameRange ranges[] = {{Gfn{0}, 160}, {Gfn{256}, k_2m * 3 + 1}, {Gfn{4 * k_1g - 1}, 2}, {Gfn{u64{1} << 27}, 1}};
  const u64 tables = p2m::table_frames_for(ranges);
  p2m::P2m worst;
  REQUIRE(worst.initialize(world.machine, {.domain = DomainId{9}, .orders = {k_order_4k}, .table_frames = tables}));
  for (const p2m::FrameRange& range : ranges) {
    REQUIRE(p2m::populate_ram(worst, world.machine, range.first, range.count));
  }
  CHECK(worst.statistics().tables.used == tables);
  CHECK(worst.audit().clean());
  worst.destroy();
}

TEST_CASE("P5: backing falls back from 1G to 2M to 4K and says so, without memory nothing is left behind") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{3} << 30, 4096);
  // No whole gigabyte is left but one; 2M runs are.
  std::vector<mm::Folio> held;
  while (world.machine.statistics().free_blocks[18] > 1) held.push_back(*world.machine.allocate(k_order_1g, DomainId{1}, mm::FrameKind::hypervisor));
  const u64 free = world.machine.statistics().free_frames();
  const auto backing = p2m::populate_ram(world.p2m, world.machine, Gfn{0}, k_1g + k_1g / 2);
  REQUIRE(backing);
  CHECK(backing->asked[2] == 1);
  CHECK(backing->asked[1] == 256);
  CHECK(backing->backed[2] == 1);
  CHECK(backing->backed[1] == 256);
  CHECK(world.machine.statistics().free_frames() == free - k_1g - k_1g / 2);
  CHECK(p2m::populate_ram(world.p2m, world.machine, Gfn{4 * k_1g}, k_1g).error() == Error::out_of_memory);
  CHECK(world.machine.statistics().free_frames() == free - k_1g - k_1g / 2);
  CHECK(world.p2m.lookup(Gfn{4 * k_1g}).type == Type::invalid);
  CHECK(world.check() == "");
}

TEST_CASE("F5: the hypervisor's own reads and writes of guest memory cross pages and stop at holes") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{1} << 28);
  REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{0}, 3));
  std::vector<u8> bytes(2 * k_page_size);
  for (usize i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<u8>(i * 7);
  REQUIRE(p2m::write_guest(world.p2m, Gpa{100}, bytes));
  std::vector<u8> back(bytes.size());
  REQUIRE(p2m::read_guest(world.p2m, Gpa{100}, back));
  CHECK(back == bytes);
  CHECK(p2m::write_guest(world.p2m, Gpa{2 * k_page_size}, bytes).error() == Error::not_found);
}

TEST_CASE("P5: with too few tables, for every such number, an operation fails and has stored nothing") {
  const auto cases = std::vector<std::function<Result<void>(World&, Mfn)>>{
      [](World& world, Mfn mfn) { return world.p2m.set_range(Gfn{5 * k_1g - 3}, mfn + (k_2m - 3), 2 * k_2m + 6, Type::ram_rw); },
      [](World& world, Mfn mfn) { return world.p2m.set_range(Gfn{k_2m + 1}, mfn, 3, Type::ram_ro); },
      [](World& world, Mfn) { return world.p2m.unmap_range(Gfn{3}, k_1g - 5); },
      [](World& world, Mfn) { return world.p2m.set_hole(Gfn{u64{1} << 30}, 1, Type::pod); },
      [](World& world, Mfn) { return world.p2m.change_type(Gfn{k_2m - 1}, 2, Type::ram_rw, Type::log_dirty); },
  };
  for (const auto& operation : cases) {
    int failures = 0;
    for (u64 spare = 0;; ++spare) {
      World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 3 + spare);  // root and the path to the first gigabyte's leaf
      static_cast<void>(world.mapped_folio(Gfn{0}, k_order_1g));
      const auto folio = world.machine.allocate(Order{11}, World::k_domain, mm::FrameKind::guest);
      REQUIRE(folio);
      const auto frames = world.machine.statistics().frames;
      const u64 used = world.p2m.statistics().tables.used;
      model::StoreLog log;
      const Result<void> done = operation(world, folio->mfn());
      CHECK(world.check() == "");
      if (done) break;
      ++failures;
      REQUIRE(done.error() == Error::no_table_memory);
      REQUIRE(log.stores().empty());
      REQUIRE(world.machine.statistics().frames == frames);
      REQUIRE(world.machine.folio_at(folio->mfn())->references == 1);
      REQUIRE(world.machine.folio_at(world.p2m.lookup(Gfn{0}).mfn)->references == k_1g);
      REQUIRE(world.p2m.statistics().tables.used == used);
      REQUIRE(spare < 20);
    }
    CHECK(failures > 0);
  }
}

TEST_CASE("P14: the audit finds what is wrong") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
    const auto foreign = world.machine.allocate(k_order_2m, DomainId{8}, mm::FrameKind::guest);
    REQUIRE(foreign);
    auto* entry = reinterpret_cast<u64*>(world.simulated.at(Hpa{world.walk(Gfn{0}).entry_address[1]}));
    const u64 good = *entry;
    using Finding = p2m::AuditReport::Finding;
    const p2m::Format& format = paging == Paging::npt ? p2m::k_npt : p2m::k_ept;
    const std::pair<u64, Finding> wrongs[] = {
        {good ^ u64{1} << 62, Finding::unsound_entry},
        {good ^ u64{1} << 12, Finding::unsound_entry},
        {good & ~p2m::Format::k_type, Finding::unsound_entry},
        {format.encode(p2m::Leaf{.mfn = foreign->mfn(), .type = Type::ram_rw}, 1), Finding::wrong_owner},
        {format.encode(p2m::Leaf{.mfn = mfn, .type = Type::ram_ro}, 1), Finding::wrong_counts},
        {0, Finding::wrong_counts},
    };
    for (const auto& [value, finding] : wrongs) {
      *entry = value;
      CHECK(world.p2m.audit().first == finding);
      *entry = good;
    }
    CHECK(world.p2m.audit().clean());
  }
}

TEST_CASE("P14, P15: an audit in pieces finds what one in one go finds, and compares no sums that have changed meanwhile") {
  for (const Paging paging : k_pagings) {
    World world(paging);
    static_cast<void>(world.mapped_folio(Gfn{0}, k_order_1g));
    static_cast<void>(world.mapped_folio(Gfn{3 * k_1g + 5 * k_2m}, k_order_2m));
    REQUIRE(world.p2m.unmap_range(Gfn{3}, 2 * k_2m));
    auto* entry = reinterpret_cast<u64*>(world.simulated.at(Hpa{world.walk(Gfn{3 * k_1g + 5 * k_2m}).entry_address[1]}));
    for (const u64 spoilt : {u64{0}, u64{1} << 62}) {
      *entry ^= spoilt;
      const p2m::AuditReport whole = world.p2m.audit();
      CHECK(whole.clean() == (spoilt == 0));
      CHECK(whole.sums_compared);
      for (const u64 budget : {u64{1}, u64{2}, u64{700}, u64{5000}}) {
        p2m::Audit audit;
        u64 pieces = 1;
        while (!world.p2m.audit_some(audit, budget)) REQUIRE(++pieces < 10'000);
        CHECK(pieces > 1);
        CHECK(audit.report.findings == whole.findings);
        CHECK(audit.report.first == whole.first);
        CHECK(audit.report.first_gfn == whole.first_gfn);
        CHECK(audit.report.tables == whole.tables);
        CHECK(audit.report.mapped_frames == whole.mapped_frames);
        CHECK(audit.report.sums_compared);
      }
      *entry ^= spoilt;
    }
    p2m::Audit audit;
    CHECK_FALSE(world.p2m.audit_some(audit, 600));
    REQUIRE(world.p2m.unmap_range(Gfn{0}, 1));  // behind it
    while (!world.p2m.audit_some(audit, 600)) {}
    CHECK(audit.report.clean());
    CHECK_FALSE(audit.report.sums_compared);
  }
}
