// SPDX-License-Identifier: Apache-2.0
// The two-phase free and the epochs under it (P12): who is told, who flushes, who waits, and in which order.
#include "mm/gather.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <vector>

#include "mm/mapping.hpp"
#include "tests/model/machine.hpp"

namespace octavo::arch {
void set_cpu_index(unsigned cpu);
}

using namespace octavo;
using mm::FrameKind;

namespace {
constexpr u64 k_mib = u64{1} << 20;
constexpr DomainId k_domain{7};

struct Gathering : mm::Gather::Client {
  Gathering() {
    const arch::MemoryRange ram[] = {{Hpa{0}, 64 * k_mib}};
    REQUIRE(machine.initialize(ram, ram, mm::Contents::zero));
    REQUIRE(pool.reserve(machine, k_domain, 4));
    simulated.on_flush.push_back([this](arch::TlbTag, u64 cpus) { flushed.push_back(cpus); });
  }
  virtual ~Gathering() = default;
  void before_flush() override {
    ++told;
    if (on_told) on_told();
  }
  /// A frame whose one reference belongs to a leaf that the test imagines.
  Mfn mapped(Order order = k_order_4k) {
    auto folio = machine.allocate(order, k_domain, FrameKind::guest);
    REQUIRE(folio);
    auto references = machine.reference(folio->mfn(), order, k_domain, FrameKind::guest);
    REQUIRE(references);
    return std::move(*references).keep();
  }
  bool is_guest(Mfn mfn) const {
    const auto folio = machine.folio_at(mfn);
    return folio && folio->kind == FrameKind::guest;
  }

  model::SimulatedMachine simulated{64 * k_mib, 4};
  mm::Machine machine;
  mm::TablePool pool;
  mm::TagUsers users;
  mm::Gather gather{pool, users, *this};
  std::function<void()> on_told;
  int told = 0;
  std::vector<u64> flushed;
};
}  // namespace

TEST_CASE("P12: with nothing gathered nobody is told and nobody flushes") {
  Gathering world;
  world.users.enter(1);
  world.flushed.clear();
  world.gather.complete();
  CHECK(world.told == 0);
  CHECK(world.flushed.empty());
  world.gather.want_flush();
  world.gather.complete();
  CHECK(world.told == 1);
  CHECK(world.flushed == std::vector<u64>{0b10});
  CHECK(world.gather.flushes() == 1);
  world.gather.complete();
  CHECK(world.told == 1);
}

TEST_CASE("P12: more leaves than there is room for are flushed and freed in portions, none before its flush") {
  Gathering world;
  std::vector<Mfn> frames;
  for (int i = 0; i < 400; ++i) frames.push_back(world.mapped());
  std::vector<Mfn> gathered;
  usize freed = 0;
  world.on_told = [&] {
    for (usize i = freed; i < gathered.size(); ++i) REQUIRE(world.is_guest(gathered[i]));
    freed = gathered.size();
  };
  for (usize i = 0; i < frames.size(); i += 2) {  // no two of them are neighbours
    world.gather.leaf(frames[i], k_order_4k);
    gathered.push_back(frames[i]);
  }
  CHECK(world.told == 3);  // 200 leaves, 64 at a time
  for (usize i = 0; i < gathered.size(); ++i) REQUIRE(world.is_guest(gathered[i]) == (i >= 192));
  world.gather.complete();
  CHECK(world.told == 4);
  for (const Mfn mfn : gathered) REQUIRE_FALSE(world.is_guest(mfn));
  for (usize i = 1; i < frames.size(); i += 2) REQUIRE(world.is_guest(frames[i]));
}

TEST_CASE("P12: the leaf for which a portion made room is flushed, too") {
  Gathering world;
  std::vector<Mfn> frames;
  for (int i = 0; i < 130; ++i) frames.push_back(world.mapped());
  for (usize i = 0; i <= 128; i += 2) world.gather.leaf(frames[i], k_order_4k);
  REQUIRE(world.told == 1);
  world.gather.complete();
  CHECK(world.told == 2);
}

TEST_CASE("P12: one run may lie over several folios, and over parts of them") {
  Gathering world;
  const Mfn mfn = world.mapped(Order{3});
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.machine.carve(mfn, Order{1}, k_domain, [](Mfn, u64 frames) { return frames; }));  // 2, 2, 4
  for (u64 i = 0; i < 5; ++i) world.gather.leaf(mfn + i, k_order_4k);
  world.gather.complete();
  CHECK(world.told == 1);
  CHECK_FALSE(world.is_guest(mfn + 3));
  CHECK(world.machine.folio_at(mfn + 4)->references == 3);
  CHECK(world.machine.statistics().free_frames() == free + 4);
}

TEST_CASE("P12: what has not been flushed cannot be freed or taken") {
  Gathering world;
  const Mfn mfn = world.mapped();
  const Result<Mfn> table = world.pool.take();
  REQUIRE(table);
  world.gather.leaf(mfn, k_order_4k);
  CHECK_THROWS_AS(world.gather.free(), model::Panic);
  CHECK_THROWS_AS(world.gather.take_flushed(mfn, k_order_4k), model::Panic);
  CHECK_THROWS_AS(world.gather.drop_flushed_table(*table), model::Panic);
  CHECK(world.is_guest(mfn));
  CHECK(world.pool.statistics().used == 1);
  world.gather.flush();
  CHECK(world.is_guest(mfn));
  world.gather.drop_flushed_table(*table);
  CHECK(world.pool.statistics().used == 0);
  world.gather.free();
  CHECK_FALSE(world.is_guest(mfn));
}

TEST_CASE("P12: a table alone makes a flush due, and comes back after it") {
  Gathering world;
  const Result<Mfn> table = world.pool.take();
  REQUIRE(table);
  world.on_told = [&] { CHECK(world.pool.statistics().used == 1); };
  world.gather.table(*table);
  world.gather.complete();
  CHECK(world.told == 1);
  CHECK(world.pool.statistics().used == 0);
}

TEST_CASE("P11: a leaf over a frame that is no folio stops the machine") {
  Gathering world;
  world.gather.leaf(Mfn{(128 * k_mib) >> k_page_shift}, k_order_4k);
  CHECK_THROWS_AS(world.gather.complete(), model::Panic);
}

TEST_CASE("P12: a processor flushes when it enters after something was unlinked, and only then") {
  Gathering world;
  world.users.set_tag(arch::TlbTag{5});
  std::vector<arch::TlbTag> tags;
  world.simulated.on_flush.push_back([&](arch::TlbTag tag, u64) { tags.push_back(tag); });
  world.users.enter(2);
  CHECK(world.flushed == std::vector<u64>{0b100});  // the first time
  world.users.leave(2);
  world.users.enter(2);
  world.users.leave(2);
  CHECK(world.flushed.size() == 1);
  CHECK_FALSE(world.users.flush());  // nobody is in: nobody is asked
  CHECK(world.flushed.size() == 1);
  world.users.enter(2);
  CHECK(world.flushed.size() == 2);
  world.users.enter(3);
  CHECK(world.users.flush());
  CHECK(world.flushed.back() == 0b1100);
  CHECK(tags.back() == arch::TlbTag{5});
  world.users.leave(3);
  CHECK(world.users.flush());
  CHECK(world.flushed.back() == 0b0100);
}

TEST_CASE("P12: whoever frees waits for the readers that were there before, to the last of nested sections") {
  Gathering world;
  std::optional<mm::ReadSection> outer, inner;
  arch::set_cpu_index(1);
  outer.emplace();
  inner.emplace();
  arch::set_cpu_index(0);
  int waits = 0;
  std::optional<mm::ReadSection> later;
  world.simulated.on_relax = [&] {
    arch::set_cpu_index(1);
    if (++waits == 1) inner.reset();
    if (waits == 2) {
      outer.reset();
      later.emplace();  // began after the call: nobody waits for it
    }
    arch::set_cpu_index(0);
    if (waits > 2) throw model::Panic("waits for a section that began later");
  };
  mm::ReadSection::wait_for_all();
  CHECK(waits == 2);
  arch::set_cpu_index(1);
  later.reset();
  arch::set_cpu_index(0);
  mm::ReadSection::wait_for_all();
  CHECK(waits == 2);
}

TEST_CASE("P12: a section that is entered inside of another does not make that one younger") {
  Gathering world;
  std::optional<mm::ReadSection> outer, inner;
  arch::set_cpu_index(1);
  outer.emplace();
  arch::set_cpu_index(0);
  int waits = 0;
  world.simulated.on_relax = [&] {
    arch::set_cpu_index(1);
    if (++waits == 1) inner.emplace();
    if (waits == 2) inner.reset();
    if (waits == 3) outer.reset();
    arch::set_cpu_index(0);
  };
  mm::ReadSection::wait_for_all();
  CHECK(waits == 3);
  outer.reset();
}

TEST_CASE("P12: nothing is freed before the readers of that time have gone, and every processor there is may be one") {
  Gathering world;
  const Mfn mfn = world.mapped();
  world.gather.leaf(mfn, k_order_4k);
  std::optional<mm::ReadSection> reader;
  arch::set_cpu_index(3);
  reader.emplace();
  arch::set_cpu_index(0);
  bool waited = false;
  world.simulated.on_relax = [&] {
    waited = true;
    CHECK(world.is_guest(mfn));
    arch::set_cpu_index(3);
    reader.reset();
    arch::set_cpu_index(0);
  };
  world.gather.complete();
  CHECK(waited);
  CHECK_FALSE(world.is_guest(mfn));
}

TEST_CASE("P12: as many processors as there can be") {
  const model::SimulatedMachine simulated{64 * k_mib, arch::k_max_cpus};
  mm::ReadSection::wait_for_all();
  CHECK(arch::cpu_count() == arch::k_max_cpus);
}

TEST_CASE("P12: a leaf that continues the run of one that was flushed wants a flush of its own") {
  Gathering world;
  const Mfn first = world.mapped(Order{1});
  world.gather.leaf(first, k_order_4k);
  world.gather.flush();
  world.gather.leaf(first + 1, k_order_4k);
  CHECK_THROWS_AS(world.gather.free(), model::Panic);
  world.gather.complete();
  CHECK(world.told == 2);
  CHECK_FALSE(world.is_guest(first));
}

TEST_CASE("P12: a reader that would wait for itself is told so") {
  Gathering world;
  const mm::ReadSection section;
  CHECK_THROWS_AS(mm::ReadSection::wait_for_all(), model::Panic);
}
