// SPDX-License-Identifier: Apache-2.0
// The k-th allocation fails, for every k and every operation: whatever fails has changed nothing, bit for bit. Tables come from the
// p2m's pool, guest memory from the machine or the cache; each is made to hold exactly k until the operation succeeds.
#include <catch2/catch.hpp>

#include "rich.hpp"

using namespace rich;

TEST_CASE("P5, F7: the k-th table is refused, for every k and every operation: nothing has changed") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    for (const Operation& operation : k_operations) {
      u64 failures = 0;
      for (u64 spare = 0;; ++spare) {
        Rich world(paging, spare);
        const Snapshot before(world, &world.pod);
        const Result<void> done = operation.run(world);
        INFO(operation.name << ", " << spare << " tables");
        CHECK(world.check() == "");
        if (done) break;
        ++failures;
        REQUIRE(done.error() == Error::no_table_memory);
        CHECK(Snapshot(world, &world.pod).difference(before) == "");
        REQUIRE(spare < 20);
      }
      INFO(operation.name);
      CHECK(failures > 0);
    }
  }
}

namespace {
/// Takes all free memory but k frames.
std::vector<mm::Folio> drain(mm::Machine& machine, u64 k) {
  std::vector<mm::Folio> held;
  for (unsigned order = mm::k_max_order.value() + 1; order-- > 0;) {
    while (machine.statistics().free_frames() >= Order{order}.frames() + k) {
      auto folio = machine.allocate(Order{order}, DomainId{1}, mm::FrameKind::hypervisor, mm::Contents::any);
      if (!folio) break;
      held.push_back(std::move(*folio));
    }
  }
  return held;
}

const Operation k_machine_operations[] = {
    {"populate_ram", [](Rich& w) -> Result<void> {
       const auto backed = p2m::populate_ram(w.p2m, w.machine, Gfn{(u64{1} << 33) + 510}, 9);
       if (!backed) return fail(backed.error());
       return {};
     }},
    {"set_target", [](Rich& w) -> Result<void> {
       const auto reply = w.pod.set_target(w.pod.accounts().held() + 7);
       if (!reply) return fail(reply.error());
       return {};
     }},
    {"another p2m", [](Rich& w) { p2m::P2m other; return other.initialize(w.machine, {.domain = DomainId{9}, .table_frames = 5}); }},
};
}  // namespace

TEST_CASE("P5, D4, F7: the machine's k-th frame is refused, for every k: nothing has changed") {
  for (const Operation& operation : k_machine_operations) {
    u64 failures = 0;
    for (u64 k = 0;; ++k) {
      Rich world(Paging::npt, 8);
      const std::vector<mm::Folio> held = drain(world.machine, k);
      REQUIRE(world.machine.statistics().free_frames() == k);
      const Snapshot before(world, &world.pod);
      const Result<void> done = operation.run(world);
      INFO(operation.name << ", " << k << " frames");
      CHECK(world.check() == "");
      if (done) break;
      ++failures;
      REQUIRE(done.error() == Error::out_of_memory);
      CHECK(Snapshot(world, &world.pod).difference(before) == "");
      REQUIRE(k < 20);
    }
    INFO(operation.name);
    CHECK(failures > 0);
  }
}

TEST_CASE("D3, D7: the cache's k-th frame is refused, for every k: populating and promoting have changed nothing") {
  for (const bool promote : {false, true}) {
    Rich world(Paging::npt, 0);
    REQUIRE(world.pod.set_target(world.pod.accounts().populated));
    REQUIRE(world.pod.accounts().cached() == 0);
    for (Gfn gfn{0}; gfn < Gfn{8 * k_1g};) {  // nothing in use is zero
      const p2m::Translation there = world.p2m.lookup(gfn);
      if (is_ram(there.type)) {
        world.p2m.mark_written(gfn, 1);
        *reinterpret_cast<u64*>(world.simulated.at(to_hpa(there.mfn))) = 1;
      }
      gfn += there.order.frames();
    }
    const std::vector<mm::Folio> held = drain(world.machine, 0);  // nor does the machine lend any
    const Snapshot before(world, &world.pod);
    Result<void> done;
    do done = promote ? world.pod.promote(k_scattered, k_order_2m, 100) : world.pod.populate(k_entry + 5);
    while (!promote && !done && done.error() == Error::again);
    REQUIRE(done.error() == Error::out_of_memory);
    CHECK(Snapshot(world, &world.pod).difference(before) == "");
    CHECK(world.check() == "");
  }
}
