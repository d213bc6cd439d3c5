// SPDX-License-Identifier: Apache-2.0
// Real threads, under TSan in the tsan preset: guest accesses, faults and lock-free readers against splitting, promoting, moving,
// sweeping, ballooning and targets. Each guest thread is a processor with an adversarial TLB of its own, which enters and leaves as
// a world switch does. What it wrote must be there when it reads again, whatever the hypervisor did meanwhile.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "pod/pod.hpp"
#include "tests/model/tlb.hpp"

using namespace octavo;
using p2m::Type;

namespace octavo::arch {
void set_cpu_index(unsigned cpu);
}

namespace {
constexpr DomainId k_domain{3};
constexpr u64 k_2m = 512;
constexpr u64 k_frames = 16 * k_2m;
constexpr unsigned k_guests = 2;

/// A processor answers a flush between two guest accesses, and whenever it waits or has left the guest, as arch::relax does.
struct Processor {
  explicit Processor(model::SimulatedMachine& simulated) : tlb(simulated, model::Nested::npt) {}
  void answer() {
    if (!flush_wanted.load(std::memory_order_acquire)) return;
    tlb.flush();
    flush_wanted.store(false, std::memory_order_release);
  }
  std::atomic<bool> flush_wanted{false};
  model::AdversarialTlb tlb;
};
thread_local Processor* this_processor = nullptr;
}  // namespace

TEST_CASE("P3, P12, D3-D5: processors in the guest and lock-free readers against every change of the p2m") {
  model::SimulatedMachine simulated(u64{1} << 28, k_guests + 1);
  mm::Machine machine;
  const arch::MemoryRange ram[] = {{Hpa{0}, u64{1} << 28}};
  REQUIRE(machine.initialize(ram, ram, mm::Contents::zero));
  const u64 free_at_start = machine.statistics().free_frames();
  std::array<std::unique_ptr<Processor>, k_guests> processors;
  for (auto& processor : processors) processor = std::make_unique<Processor>(simulated);
  simulated.on_relax = [] {
    if (this_processor != nullptr) this_processor->answer();
    std::this_thread::yield();
  };
  simulated.on_flush.push_back([&](arch::TlbTag, u64 cpus) {
    for (unsigned cpu = 0; cpu < k_guests; ++cpu) {
      if ((cpus >> cpu & 1) == 0) continue;
      if (processors[cpu].get() == this_processor) {
        processors[cpu]->tlb.flush();
        continue;
      }
      processors[cpu]->flush_wanted.store(true, std::memory_order_release);
      while (processors[cpu]->flush_wanted.load(std::memory_order_acquire)) arch::relax();
    }
  });

  p2m::P2m p2m;
  REQUIRE(p2m.initialize(machine, {.domain = k_domain, .tag = arch::TlbTag{1}, .table_frames = 64}));
  pod::Pod pod(p2m);
  REQUIRE(pod.initialize(machine, 12 * k_2m, k_frames));
  REQUIRE(pod.add_entries(Gfn{0}, k_frames));
  std::atomic<unsigned> running{k_guests};
  std::atomic<bool> stop{false};
  std::atomic<u64> accesses{0};
  std::atomic<u64> words{0}, owners{0}, audits{0}, accounts{0};  // what was found wrong, and how often

  // Guest `cpu` owns the gfns that leave `cpu` when divided by 64; the operator balloons out only those that leave more than 31.
  const auto guest = [&](unsigned cpu) {
    arch::set_cpu_index(cpu);
    Processor& me = *processors[cpu];
    this_processor = &me;
    std::map<u64, u64> written;
    std::mt19937_64 random(cpu + 1);
    u64 token = u64{cpu + 1} << 32;
    for (u64 round = 0; round < 1500 || !stop.load(); ++round) {
      const u64 gfn = random() % (k_frames / 64) * 64 + cpu;
      p2m.users().enter(cpu);
      std::optional<u64> reached;
      for (int burst = 0; burst < 4; ++burst) {
        me.answer();
        reached = me.tlb.access(p2m.root().value(), gfn, true);
        if (!reached) break;
        std::atomic_ref<u64> word(*reinterpret_cast<u64*>(simulated.at(to_hpa(Mfn{*reached}))));
        const auto before = written.find(gfn);
        if (word.load(std::memory_order_relaxed) != (before == written.end() ? 0 : before->second)) words.fetch_add(1);
        word.store(++token, std::memory_order_relaxed);
        written[gfn] = token;
        accesses.fetch_add(1, std::memory_order_relaxed);
      }
      p2m.users().leave(cpu);
      if (reached) continue;
      const p2m::Translation there = p2m.lookup(Gfn{gfn});
      if (there.type == Type::pod) static_cast<void>(pod.populate(Gfn{gfn}));
      if (there.type == Type::ram_rw) p2m.push_down(Gfn{gfn});
      // A reader's frame stays the guest's as long as its section lasts.
      const mm::ReadSection section;
      if (const p2m::Translation again = p2m.lookup(Gfn{gfn}); is_ram(again.type)) {
        auto folio = machine.folio_at(again.mfn);
        while (!folio) {  // folios are being joined over it at this moment
          std::this_thread::yield();
          folio = machine.folio_at(again.mfn);
        }
        if (folio->owner != k_domain) owners.fetch_add(1);
      }
    }
    running.fetch_sub(1);
    while (stop.load() && running.load() > 0) arch::relax();
    me.tlb.flush();
    this_processor = nullptr;
  };
  std::array<std::thread, k_guests> threads;
  for (unsigned cpu = 0; cpu < k_guests; ++cpu) threads[cpu] = std::thread(guest, cpu);

  arch::set_cpu_index(k_guests);
  std::mt19937_64 random(99);
  std::array<u64, 10> done{};
  const auto attempt = [&](unsigned what, u64 base) -> bool {
    switch (what) {
      case 0: return p2m.change_type(Gfn{base + 5}, 1, Type::ram_rw, Type::ram_ro) && p2m.change_type(Gfn{base + 5}, 1, Type::ram_ro, Type::ram_rw);
      case 1: return pod.promote(Gfn{base}, k_order_2m, 100).has_value();
      case 2: return pod.sweep(k_order_2m, 600) > 0;
      case 3: return pod.sweep(k_order_4k, 64) > 0;
      case 4: return pod.decrease(Gfn{base + 64 + 32}, 8).has_value() && pod.add_entries(Gfn{base + 64 + 32}, 8).has_value();
      case 5: return pod.set_target(10 * k_2m + random() % (2 * k_2m)).has_value();
      case 6: return p2m.change_type(Gfn{0}, k_frames, Type::ram_rw, Type::log_dirty).has_value();
      case 8:  // the frames that no guest writes to: unlinked by somebody else than a balloon, and given back
        return p2m.set_hole(Gfn{base + 256 + 8}, 48, Type::invalid).has_value() && pod.add_entries(Gfn{base + 256 + 8}, 48).has_value();
      case 9:  // in place, if nothing else has cut it
        return p2m.change_type(Gfn{base + 5}, 1, Type::ram_rw, Type::ram_ro) && p2m.change_type(Gfn{base + 5}, 1, Type::ram_ro, Type::ram_rw) &&
               p2m.promote(Gfn{base}, k_order_2m).has_value();
      default: return p2m.change_type(Gfn{0}, k_frames, Type::log_dirty, Type::ram_rw).has_value();
    }
  };
  // 1500 rounds, and more until each operation has met something to do, as far as the threads let it.
  constexpr unsigned wanted[] = {0, 3, 4, 5, 6, 7, 8};
  const auto each_worked = [&] { return std::ranges::all_of(wanted, [&](unsigned what) { return done[what] > 0; }); };
  for (int round = 0; round < 1500 || (round < 20'000 && !each_worked()); ++round) {
    const u64 base = random() % 16 * k_2m;
    const unsigned what = static_cast<unsigned>(random() % 10);
    const bool worked = attempt(what, base);
    if (worked) ++done[what];
    if (random() % 16 == 0) {
      if (!p2m.audit().clean()) audits.fetch_add(1);
      if (!pod.accounts().hold()) accounts.fetch_add(1);
    }
  }
  static_cast<void>(p2m.change_type(Gfn{0}, k_frames, Type::log_dirty, Type::ram_rw));
  p2m.abort_move();
  stop.store(true);
  while (running.load() > 0) arch::relax();
  for (std::thread& thread : threads) thread.join();
  CHECK(words == 0);
  CHECK(owners == 0);
  CHECK(audits == 0);
  CHECK(accounts == 0);
  CHECK(accesses > 0);
  // What had no luck in the race has to work without one: no operation is in the list for nothing.
  for (const unsigned what : wanted) {
    for (u64 i = 0; i < 64 && done[what] == 0; ++i) {
      const u64 base = i % 16 * k_2m;
      if (p2m.lookup(Gfn{base + 5}).type == Type::pod) static_cast<void>(pod.populate(Gfn{base + 5}));
      if (attempt(what, base)) ++done[what];
    }
    CHECK(done[what] > 0);
    static_cast<void>(p2m.change_type(Gfn{0}, k_frames, Type::log_dirty, Type::ram_rw));
  }
  CHECK(p2m.audit().clean());
  CHECK(pod.accounts().hold());
  pod.destroy();
  p2m.destroy();
  CHECK(machine.statistics().free_frames() == free_at_start);
}
