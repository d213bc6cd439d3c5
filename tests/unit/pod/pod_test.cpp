// SPDX-License-Identifier: Apache-2.0
#include "pod/pod.hpp"

#include <catch2/catch.hpp>

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

struct PodWorld : World {
  explicit PodWorld(Paging paging, u64 target, u64 maximum, u64 tables = 4096, u64 bytes = u64{8} << 30) : World(paging, bytes, tables), pod(p2m) {
    REQUIRE(pod.initialize(machine, target, maximum));
    REQUIRE(pod.add_entries(Gfn{0}, maximum));
  }
  ~PodWorld() { pod.destroy(); }
  PodWorld(const PodWorld&) = delete;
  PodWorld& operator=(const PodWorld&) = delete;

  /// A guest's write: faults until it works or memory is out.
  Result<u64> write(u64 gfn, u64 value) {
    u64 searches = 0;  // faults that went by with looking for zero memory: so many frames at each order, and not one more
    for (u64 faults = 0; faults < 3; ++faults) {
      if (const auto mfn = tlb0.access(root(), gfn, true)) {
        *reinterpret_cast<u64*>(simulated.at(to_hpa(Mfn{*mfn}))) = value;
        return *mfn;
      }
      Result<void> populated = pod.populate(Gfn{gfn});
      if (!populated && populated.error() == Error::again && ++searches < 3 * pod.accounts().populated / 1000 + 8) faults = 0;
      else OCTAVO_TRY(populated);
    }
    FAIL("a fault that does not end");
    return 0;
  }
  u64 word(u64 gfn) const { return simulated.read64(to_hpa(p2m.lookup(Gfn{gfn}).mfn)); }
  std::string check_pod() const {
    if (std::string problem = check(); !problem.empty()) return problem;
    const pod::Accounts accounts = pod.accounts();
    if (!accounts.hold()) return "more is held than target and pending";
    if (accounts.populated != p2m.audit().mapped_frames + p2m.frames_in_transit()) return "populated";
    const auto frames = machine.statistics().frames;
    if (frames[static_cast<usize>(mm::FrameKind::pod_cache)] != accounts.cached()) return "cache";
    if (frames[static_cast<usize>(mm::FrameKind::guest)] != accounts.populated + accounts.in_transit) return "guest frames";
    return {};
  }

  pod::Pod pod;
};
}  // namespace

TEST_CASE("D1: the cache re-merges what it gets and breaks the smallest run that serves") {
  World world(Paging::npt);
  pod::Cache cache;
  cache.attach(world.machine, World::k_domain);
  const u64 free = world.machine.statistics().free_frames();
  for (const Order order : {k_order_1g, k_order_2m}) {
    auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
    REQUIRE(folio);
    REQUIRE(cache.add(*folio));
  }
  CHECK(cache.frames_by_level() == std::array<u64, 3>{0, k_2m, k_1g});
  std::vector<mm::Folio> small;
  for (u64 i = 0; i < k_2m; ++i) small.push_back(*cache.get(k_order_4k));
  CHECK(cache.frames_by_level() == std::array<u64, 3>{0, 0, k_1g});  // the 2M run was broken, not the 1G one
  auto another = cache.get(k_order_4k);
  REQUIRE(another);
  CHECK(cache.frames_by_level()[2] == 0);
  CHECK(cache.get(k_order_1g).error() == Error::out_of_memory);
  small.push_back(std::move(*another));
  for (mm::Folio& folio : small) REQUIRE(cache.add(folio));
  CHECK(cache.frames_by_level() == std::array<u64, 3>{0, k_2m, k_1g});  // and both are whole again
  CHECK(cache.give_back(3) == 3);
  CHECK(cache.frames() == k_1g + k_2m - 3);
  CHECK(cache.frames_by_level()[2] == k_1g);
  CHECK(cache.give_back(~u64{0}) == k_1g + k_2m - 3);
  CHECK(world.machine.statistics().free_frames() == free);
}

TEST_CASE("D3: populate by the largest folio, without one the entry is split, every populate is bounded") {
  for (const Paging paging : k_pagings) {
    PodWorld world(paging, k_1g + 2 * k_2m, 4 * k_1g);
    CHECK(world.pod.accounts().entries == 4 * k_1g);
    REQUIRE(world.write(k_1g + 5, 42));
    CHECK(world.p2m.lookup(Gfn{k_1g}).order == k_order_1g);
    REQUIRE(world.write(2 * k_1g + 5, 43));  // no 1G left: the entry becomes 512, one of them memory
    CHECK(world.p2m.lookup(Gfn{2 * k_1g}).order == k_order_2m);
    CHECK(world.p2m.lookup(Gfn{2 * k_1g + k_2m}).type == Type::pod);
    CHECK(world.p2m.lookup(Gfn{2 * k_1g + k_2m}).order == k_order_2m);
    REQUIRE(world.write(3 * k_1g, 44));
    CHECK(world.pod.accounts().cached() == 0);
    CHECK(world.pod.statistics().fallbacks == 2);
    CHECK(world.check_pod() == "");
    CHECK(world.word(k_1g + 5) == 42);
  }
}

TEST_CASE("D3, D7: when all is used the verdict is out of memory, and the domain goes on when there is more") {
  for (const Paging paging : k_pagings) {
    PodWorld world(paging, 2 * k_2m, 8 * k_2m);
    for (u64 i = 0; i < 2 * k_2m; ++i) REQUIRE(world.write(i, i + 1));
    CHECK(world.write(5 * k_2m, 1).error() == Error::out_of_memory);
    CHECK(world.pod.statistics().out_of_memory == 1);
    CHECK(world.check_pod() == "");
    for (u64 i = 0; i < 2 * k_2m; ++i) REQUIRE(world.word(i) == i + 1);
    const auto reply = world.pod.set_target(2 * k_2m + 1);
    REQUIRE(reply);
    CHECK(reply->added == 1);
    CHECK(world.write(5 * k_2m, 1));
    CHECK(world.pod.accounts().cached() == 0);
    CHECK(world.check_pod() == "");
  }
}

TEST_CASE("D4: targets are exact, what cannot be returned at once is pending until the guest gives it") {
  PodWorld world(Paging::npt, 4 * k_2m, 16 * k_2m);
  const u64 free = world.machine.statistics().free_frames();
  for (u64 i = 0; i < 3; ++i) REQUIRE(world.write(i * k_2m, 1));
  CHECK(world.pod.set_target(16 * k_2m + 1).error() == Error::invalid_argument);
  auto reply = world.pod.set_target(3 * k_2m + 5);
  REQUIRE(reply);
  CHECK(reply->freed == k_2m - 5);
  CHECK(reply->pending == 0);
  reply = world.pod.set_target(2 * k_2m + 7);
  REQUIRE(reply);
  CHECK(reply->freed == 5);
  CHECK(reply->pending == k_2m - 7);
  CHECK(world.check_pod() == "");
  const auto ballooned = world.pod.decrease(Gfn{k_2m}, k_2m);
  REQUIRE(ballooned);
  CHECK(*ballooned == k_2m);
  CHECK(world.pod.accounts().pending == 0);
  CHECK(world.pod.accounts().cached() == 7);
  CHECK(world.machine.statistics().free_frames() == free + 2 * k_2m - 7);
  CHECK(world.p2m.lookup(Gfn{k_2m}).type == Type::invalid);
  CHECK(world.check_pod() == "");
  CHECK(world.pod.set_target(0)->pending == 2 * k_2m);
  CHECK(world.check_pod() == "");
}

TEST_CASE("D4: a target that the machine cannot serve changes nothing") {
  PodWorld world(Paging::npt, k_2m, 64 * k_1g);
  const auto before = world.machine.statistics().frames;
  CHECK(world.pod.set_target(32 * k_1g).error() == Error::out_of_memory);
  CHECK(world.machine.statistics().free_frames() + k_2m + world.p2m.statistics().tables.reserved == world.free_at_start);
  CHECK(world.machine.statistics().frames[static_cast<usize>(mm::FrameKind::pod_cache)] == before[static_cast<usize>(mm::FrameKind::pod_cache)]);
  CHECK(world.pod.accounts().target == k_2m);
  CHECK(world.check_pod() == "");
}

TEST_CASE("D5: a sweep finds what was never written without looking, what is zero by looking, and nothing else") {
  for (const Paging paging : k_pagings) {
    PodWorld world(paging, 4 * k_2m, 16 * k_2m);
    REQUIRE(world.pod.populate(Gfn{0}));               // read only
    REQUIRE(world.tlb0.access(world.root(), 3, false));
    REQUIRE(world.write(k_2m, 0));                     // written, with zeroes
    REQUIRE(world.write(2 * k_2m + 9, 77));            // in use
    REQUIRE(world.pod.populate(Gfn{3 * k_2m}));
    const u8 byte = 5;                                 // the hypervisor wrote: no D bit tells
    REQUIRE(p2m::write_guest(world.p2m, Gpa{(3 * k_2m + 300) * k_page_size + 123}, {&byte, 1}));
    CHECK(world.pod.accounts().cached() == 0);
    CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 2 * k_2m);
    const auto statistics = world.pod.statistics();
    CHECK(statistics.reclaimed_unwritten == k_2m);
    CHECK(statistics.reclaimed_zero == k_2m);
    CHECK(world.p2m.lookup(Gfn{0}).type == Type::pod);
    CHECK(world.p2m.lookup(Gfn{k_2m}).type == Type::pod);
    CHECK(world.word(2 * k_2m + 9) == 77);
    CHECK(world.p2m.lookup(Gfn{3 * k_2m}).order == k_order_2m);
    CHECK(world.check_pod() == "");
    // A second sweep finds nothing, although restoring took the D bit away.
    CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
    CHECK(world.word(2 * k_2m + 9) == 77);
    // The sweep for 4K looks inside: all but the two frames in use.
    CHECK(world.pod.sweep(k_order_4k, ~u64{0}) == 2 * k_2m - 2);
    CHECK(world.word(2 * k_2m + 9) == 77);
    u8 back = 0;
    REQUIRE(p2m::read_guest(world.p2m, Gpa{(3 * k_2m + 300) * k_page_size + 123}, {&back, 1}));
    CHECK(back == 5);
    CHECK(world.check_pod() == "");
  }
}

TEST_CASE("D5: write, promote, sweep, read back: the dirty bit is inherited") {
  PodWorld world(Paging::npt, 4 * k_2m, 16 * k_2m);
  REQUIRE(world.write(5, 99));
  REQUIRE(world.p2m.change_type(Gfn{7}, 1, Type::ram_rw, Type::ram_ro));
  REQUIRE(world.p2m.change_type(Gfn{7}, 1, Type::ram_ro, Type::ram_rw));
  REQUIRE(world.pod.promote(Gfn{0}, k_order_2m, 1));
  CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
  CHECK(world.word(5) == 99);
}

TEST_CASE("D5: pinned memory is never taken, nobody writes while the full look runs") {
  PodWorld world(Paging::npt, 2 * k_2m, 16 * k_2m);
  REQUIRE(world.write(0, 0));
  const auto pin = world.machine.reference(world.p2m.lookup(Gfn{3}).mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  CHECK(world.pod.sweep(k_order_2m, ~u64{0}) == 0);
  CHECK(world.p2m.lookup(Gfn{3}).type == Type::ram_rw);
  CHECK(world.check() == "");
  // A write that comes between the first look and the last one is kept: every time that the sweep maps a frame, the guest tries.
  REQUIRE(world.write(k_2m, 0));
  u64 written = 0;
  world.simulated.on_map = [&](Mfn) {
    if (const auto mfn = world.tlb1.access(world.root(), k_2m + 200, true)) {
      *reinterpret_cast<u64*>(world.simulated.at(to_hpa(Mfn{*mfn}))) = ++written;
    }
  };
  static_cast<void>(world.pod.sweep(k_order_2m, ~u64{0}));
  world.simulated.on_map = nullptr;
  REQUIRE(written > 0);
  CHECK(world.word(k_2m + 200) == written);
}

TEST_CASE("D3: an emergency sweep gives memory back to a guest that has touched more than it uses") {
  for (const Paging paging : k_pagings) {
    PodWorld world(paging, 2 * k_2m, 64 * k_2m);
    for (u64 i = 0; i < 40; ++i) {
      REQUIRE(world.write(i * k_2m, 0));  // zeroes everywhere
      REQUIRE(world.check_pod() == "");
    }
    REQUIRE(world.write(50 * k_2m, 9));
    CHECK(world.pod.statistics().searches > 0);
    CHECK(world.word(50 * k_2m) == 9);
  }
}

TEST_CASE("P7, D8: promotion by copying uses the cache, and gives it the old frames") {
  PodWorld world(Paging::ept, 4 * k_2m, 16 * k_2m);
  // Scattered: single frames populated in an order that machine addresses do not follow.
  std::vector<mm::Folio> held;
  REQUIRE(world.pod.set_target(4 * k_2m));
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.pod.add_entries(Gfn{i}, 1));
  REQUIRE(world.p2m.set_hole(Gfn{0}, 1, Type::invalid));
  REQUIRE(world.pod.add_entries(Gfn{0}, 1));
  REQUIRE(world.p2m.set_hole(Gfn{1}, 1, Type::invalid));  // keeps the entries single
  for (u64 i = k_2m; i-- > 2;) REQUIRE(world.write(i, i));
  REQUIRE(world.write(0, 0xABC));
  REQUIRE(world.pod.add_entries(Gfn{1}, 1));
  REQUIRE(world.write(1, 1));
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_4k);
  const u64 held_before = world.pod.accounts().held();
  int steps = 1;
  for (;; ++steps) {
    const auto done = world.pod.promote(Gfn{0}, k_order_2m, 100);
    CHECK(world.check_pod() == "");
    CHECK(world.pod.accounts().held() == held_before);
    if (done) break;
    REQUIRE(done.error() == Error::again);
    CHECK(world.pod.accounts().in_transit == k_2m);
  }
  CHECK(steps == 6);
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_2m);
  for (u64 i = 2; i < k_2m; ++i) REQUIRE(world.word(i) == i);
  CHECK(world.word(0) == 0xABC);
  CHECK(world.pod.accounts().cached() == 2 * k_2m);
  CHECK(world.pod.accounts().in_transit == k_2m);  // what was copied from is to be zeroed
  for (u64 turns = 0; world.pod.tidy(100); ++turns) {
    REQUIRE(turns < 10);
    CHECK(world.check_pod() == "");
    CHECK(world.pod.accounts().held() == held_before);
  }
  CHECK(world.pod.accounts().cached() == 3 * k_2m);
  for (u64 gfn = 2 * k_2m; gfn < 5 * k_2m; ++gfn) {
    if (world.p2m.lookup(Gfn{gfn}).type == Type::pod) REQUIRE(world.pod.populate(Gfn{gfn}));
    REQUIRE(world.word(gfn) == 0);
  }
}

TEST_CASE("P7, D3: a fault that finds the cache empty takes what a move has left") {
  PodWorld world(Paging::npt, 2 * k_2m, 16 * k_2m);
  for (u64 gfn = 0; gfn < k_2m; ++gfn) REQUIRE(world.write(gfn, gfn + 1));
  for (u64 gfn = 0; gfn < k_2m; gfn += 2) REQUIRE(world.pod.decrease(Gfn{gfn}, 1) == 1);
  for (u64 gfn = 0; gfn < k_2m; gfn += 2) REQUIRE(world.pod.increase(Gfn{k_2m - 2 - gfn}, 1) == 1);
  for (u64 gfn = 0; gfn < k_2m; gfn += 2) REQUIRE(world.write((gfn + 200) % k_2m, (gfn + 200) % k_2m + 1));
  REQUIRE(world.pod.promote(Gfn{0}, k_order_2m, ~u64{0}));
  CHECK(world.pod.accounts().cached() == 0);
  CHECK(world.pod.accounts().in_transit == k_2m);
  for (u64 gfn = 4 * k_2m; gfn < 5 * k_2m; ++gfn) REQUIRE(world.write(gfn, 7));
  CHECK(world.pod.accounts().in_transit == 0);
  CHECK(world.pod.statistics().out_of_memory == 0);
  for (u64 gfn = 0; gfn < k_2m; ++gfn) REQUIRE(world.word(gfn) == gfn + 1);
  CHECK(world.check_pod() == "");
}

TEST_CASE("D5: without dirty bits nothing counts as unwritten, and zero memory is found by looking") {
  model::World world(Paging::ept);
  p2m::P2m other;
  REQUIRE(other.initialize(world.machine, {.domain = DomainId{4}, .paging = Paging::ept, .table_frames = 16, .has_dirty_bits = false}));
  pod::Pod pod(other);
  REQUIRE(pod.initialize(world.machine, 2 * k_2m, 4 * k_2m));
  REQUIRE(pod.add_entries(Gfn{0}, 4 * k_2m));
  REQUIRE(pod.populate(Gfn{0}));
  REQUIRE(pod.populate(Gfn{k_2m}));
  // A processor that sets no bits wrote here.
  *reinterpret_cast<u64*>(world.simulated.at(to_hpa(other.lookup(Gfn{7}).mfn))) = 0x1234;
  CHECK(other.lookup(Gfn{0}).dirty);
  CHECK(pod.sweep(k_order_2m, ~u64{0}) == k_2m);
  CHECK(pod.statistics().reclaimed_unwritten == 0);
  CHECK(other.lookup(Gfn{0}).type == Type::ram_rw);
  pod.destroy();
}
