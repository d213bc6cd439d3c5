// SPDX-License-Identifier: Apache-2.0
// Every intermediate state of every operation that changes tables (P13), and every point at which a long one can be left (P15).
#include "rich.hpp"

using namespace rich;

namespace {
/// What the other processors do after each store, beside the log.
std::function<void()>* the_hook = nullptr;
arch::EntryStoreObserver the_observer = nullptr;

struct Hook {
  explicit Hook(std::function<void()> f) : hook(std::move(f)) {
    the_hook = &hook;
    the_observer = arch::entry_store_observer;
    arch::entry_store_observer = [](const u64* entry, u64 before, u64 after) {
      if (the_observer != nullptr) the_observer(entry, before, after);
      (*the_hook)();
    };
  }
  ~Hook() { arch::entry_store_observer = the_observer; }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;
  std::function<void()> hook;
};

Result<void> move_all(Rich& w) {
  for (;;) {
    const Result<void> done = w.pod.promote(k_scattered, k_order_2m, 200);
    if (done || done.error() != Error::again) return done;
  }
}
Result<void> cut(Rich& w) { return w.p2m.change_type(k_medium + 7, 1, Type::ram_rw, Type::ram_ro); }
Result<void> mend(Rich& w) { return w.p2m.change_type(k_medium + 7, 1, Type::ram_ro, Type::ram_rw); }

std::vector<Operation> all_operations() {
  std::vector<Operation> all(std::begin(k_operations), std::end(k_operations));
  all.push_back({"push_down", [](Rich& w) -> Result<void> { w.p2m.push_down(k_lazy + 1); return {}; }});
  all.push_back({"lazy change of all", [](Rich& w) { return w.p2m.change_type(Gfn{0}, k_order_512g.frames(), Type::ram_rw, Type::log_dirty); }});
  all.push_back({"promote by copying", move_all});
  all.push_back({"begin and abort a move", [](Rich& w) -> Result<void> {
                   static_cast<void>(w.pod.promote(k_scattered, k_order_2m, 5));
                   w.p2m.abort_move();
                   return {};
                 }});
  all.push_back({"split and promote in place", [](Rich& w) -> Result<void> {
                   OCTAVO_TRY(cut(w));
                   OCTAVO_TRY(mend(w));
                   return w.p2m.promote(k_medium, k_order_2m);
                 }});
  all.push_back({"sweep", [](Rich& w) { static_cast<void>(w.pod.sweep(k_order_2m, 1000)); return Result<void>{}; }});
  return all;
}

const u64 k_probes[] = {k_large.value(), k_large.value() + 9, k_large.value() + 77, k_large.value() + k_2m, k_large.value() + k_2m + 1,
                        k_medium.value() + 1, k_medium.value() + 7, k_medium.value() + 100, k_scattered.value() + 3, k_scattered.value() + 505,
                        k_lazy.value() + 1, k_lazy.value() + 3, k_lazy.value() + k_2m, k_entry.value() + 1, k_entry.value() + 701, k_entry.value() + 1234};
}  // namespace

TEST_CASE("P13: after every single store of every operation a walk gives the old, the new, or a fault that waits") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    for (const Operation& operation : all_operations()) {
      Rich world(paging, 30);
      std::map<u64, model::NestedWalk> before, after;
      for (const u64 gfn : k_probes) before[gfn] = world.walk(Gfn{gfn});
      model::StoreLog log;
      REQUIRE(operation.run(world));
      for (const u64 gfn : k_probes) after[gfn] = world.walk(Gfn{gfn});
      REQUIRE(!log.stores().empty());
      INFO(operation.name);
      u64 mixed = 0;
      log.for_each_state([&](std::size_t) {
        for (const u64 gfn : k_probes) {
          const model::NestedWalk now = world.walk(Gfn{gfn});
          // Memory on the move is not there for a while; a type that comes and goes within one operation takes rights away for a while.
          model::NestedWalk weaker = before[gfn];
          weaker.write = now.write;
          if (now != before[gfn] && now != after[gfn] && now.result != model::NestedWalk::Result::not_present && !(now == weaker && !now.write)) ++mixed;
        }
      });
      CHECK(mixed == 0);
      CHECK(world.check() == "");
    }
  }
}

TEST_CASE("P13: no A or D bit that a processor sets after any store of any operation is lost") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    for (const Operation& operation : all_operations()) {
      for (u64 moment = 0;; ++moment) {
        Rich world(paging, 30);
        std::map<u64, u64> reached;  // gfn -> where its write went
        for (const u64 gfn : k_probes) static_cast<void>(world.tlb0.access(world.root(), gfn, false));
        u64 stores = 0;
        {
          const Hook hook([&] {
            if (stores++ != moment) return;
            for (const u64 gfn : k_probes) {
              if (const auto mfn = world.tlb0.access(world.root(), gfn, true)) reached[gfn] = *mfn;
            }
          });
          REQUIRE(operation.run(world));
        }
        INFO(operation.name << ", after store " << moment << " of " << stores);
        for (const auto& [gfn, mfn] : reached) {
          const p2m::Translation there = world.p2m.lookup(Gfn{gfn});
          if (is_ram(there.type) && there.mfn.value() == mfn) CHECK((there.dirty || there.written));
        }
        CHECK(world.check() == "");
        if (moment == 12) moment = std::max<u64>(moment, stores > 14 ? stores - 14 : moment);  // the many in the middle are alike
        if (moment >= stores) break;
      }
    }
  }
}

namespace {
/// What a guest and an operator can see: types and contents' places by gfn, accounts.
std::string state_of(const Rich& world) {
  std::string state;
  for (Gfn gfn{0}; gfn < Gfn{8 * k_1g};) {
    const p2m::Translation there = world.p2m.lookup(gfn);
    state += std::to_string(gfn.value()) + p2m::to_string(there.type) + std::to_string(there.order.value()) + (there.dirty || there.written ? "w " : " ");
    gfn += there.order.frames();
  }
  const pod::Accounts accounts = world.pod.accounts();
  return state + std::to_string(accounts.held()) + " " + std::to_string(accounts.cached()) + " " + std::to_string(accounts.pending);
}

struct Long {
  const char* name;
  std::function<bool(Rich&, u64 budget, u64& cursor)> step;  ///< true when done
};
const Long k_long[] = {
    {"set_hole_some", [](Rich& w, u64 budget, u64& cursor) {
       Gfn gfn{5 + cursor};
       u64 count = 4 * k_2m - 10 - cursor;
       const auto done = w.p2m.set_hole_some(gfn, count, Type::invalid, budget);
       if (!done) REQUIRE(done.error() == Error::again);
       cursor = gfn.value() - 5;
       return done.has_value();
     }},
    {"Pod::promote", [](Rich& w, u64 budget, u64&) {
       const auto done = w.pod.promote(k_scattered, k_order_2m, budget);
       if (!done) REQUIRE(done.error() == Error::again);
       return done.has_value();
     }},
    {"decrease", [](Rich& w, u64 budget, u64& cursor) {
       const auto done = w.pod.decrease(Gfn{cursor + 3}, 2 * k_2m - 6 - cursor, budget);
       REQUIRE(done);
       cursor += *done;
       return cursor == 2 * k_2m - 6;
     }},
    {"sweep", [](Rich& w, u64 budget, u64& cursor) {
       static_cast<void>(w.pod.sweep(k_order_2m, budget));
       cursor += std::min<u64>(budget, 600'000);
       return cursor >= 600'000;  // more than there is to look at
     }},
};
}  // namespace

TEST_CASE("P15: left at every point, with something else in between, a long operation ends as it does in one go") {
  // What comes in between: a fault elsewhere, and a split and a write of the hypervisor's elsewhere.
  const std::function<void(Rich&)> others[] = {
      [](Rich& w) { REQUIRE(w.pod.populate(k_entry + 3 * k_2m)); },
      [](Rich& w) {
        const u8 byte = 1;
        REQUIRE(w.p2m.change_type(k_large + 5 * k_2m, k_2m, Type::ram_rw, Type::ram_ro));
        REQUIRE(p2m::write_guest(w.p2m, to_gpa(k_large + 5 * k_2m), {&byte, 1}));
      },
  };
  for (const Long& operation : k_long) {
    const bool is_sweep = std::string(operation.name) == "sweep";
    for (const auto& other : others) {
      std::string whole;
      for (const u64 budget : {~u64{0}, u64{1}, u64{511}, u64{512}, u64{600}}) {
        if (is_sweep && budget == 1) continue;  // the same at greater length
        for (u64 point = 0;; ++point) {
          Rich world(Paging::npt, 30);
          if (is_sweep) {
            world.p2m.mark_written(k_large, 1);
            *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.large))) = 1;
          }
          u64 cursor = 0, steps = 0;
          for (bool done = false; !done; ++steps) {
            if (steps == point && !is_sweep) other(world);
            done = operation.step(world, budget, cursor);
          }
          if (point >= steps && !is_sweep) other(world);
          CHECK(world.check() == "");
          INFO(operation.name << ", budget " << budget << ", point " << point << " of " << steps);
          if (whole.empty()) whole = state_of(world);
          CHECK((state_of(world) == whole));
          if (point >= steps || is_sweep) break;  // what comes in between changes what a sweep finds
          if (point == 5 && steps > 10) point = steps - 5;
        }
      }
    }
  }
}
