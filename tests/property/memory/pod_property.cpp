// SPDX-License-Identifier: Apache-2.0
// A guest with less memory than it believes in, under random faults, targets, balloons, sweeps and promotions. After every step the
// accounts hold, the audit is clean, and every word that the guest wrote and did not give up is still there.
#include <catch2/catch.hpp>
#include <map>
#include <rapidcheck.h>

#include "pod/pod.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
constexpr u64 k_maximum = 2 * k_1g + 3 * k_2m + 5;

class Guest {
 public:
  explicit Guest(Paging paging) : world_(paging, u64{4} << 30, 1300), pod_(world_.p2m) {
    const u64 target = *rc::gen::element<u64>(1, 40, 40, k_2m, k_2m, 3 * k_2m + 7, 3 * k_2m + 7, k_1g + k_2m);
    RC_LOG() << "target " << target << "\n";
    RC_ASSERT(pod_.initialize(world_.machine, target, k_maximum).has_value());
    RC_ASSERT(pod_.add_entries(Gfn{0}, k_maximum).has_value());
  }
  ~Guest() { pod_.destroy(); }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  void step() {
    switch (*rc::gen::inRange(0, 12)) {
      case 0: case 1: case 2: case 3: write(); break;
      case 4: read(); break;
      case 5: balloon(); break;
      case 6: set_target(); break;
      case 7: case 8: sweep(); break;
      case 9: promote(); break;
      case 10: split(); break;
      default: free_and_mark_again(); break;
    }
    check();
  }
  void finish() {
    pod_.destroy();
    world_.p2m.destroy();
    RC_ASSERT(world_.machine.statistics().free_frames() == world_.free_at_start);
  }

 private:
  static u64 any_gfn() {
    const u64 base = *rc::gen::element(u64{0}, k_2m, 2 * k_2m, k_1g - k_2m, k_1g, 2 * k_1g, 2 * k_1g + 3 * k_2m);
    return std::min(base + *rc::gen::element<u64>(0, 0, 1, 2, 300, 511), k_maximum - 1);
  }

  std::optional<u64> reach(u64 gfn, bool write) {
    u64 searches = 0;
    for (int faults = 0; faults < 3; ++faults) {
      if (const auto mfn = world_.tlb0.access(world_.root(), gfn, write)) return mfn;
      const Type type = world_.p2m.lookup(Gfn{gfn}).type;
      if (type == Type::invalid) return std::nullopt;
      if (type != Type::pod) {
        RC_ASSERT(type == Type::transit || type == Type::ram_ro);
        return std::nullopt;
      }
      const auto populated = pod_.populate(Gfn{gfn});
      if (!populated && populated.error() == Error::again && ++searches < 3 * k_maximum / 1000 + 8) {
        faults = 0;
      } else if (!populated) {
        RC_ASSERT(populated.error() == Error::out_of_memory);
        RC_ASSERT(pod_.accounts().cached() == 0u);
        return std::nullopt;
      }
    }
    RC_FAIL("a fault that does not end");
    return std::nullopt;
  }
  u64& word(u64 mfn) { return *reinterpret_cast<u64*>(world_.simulated.at(to_hpa(Mfn{mfn}))); }

  void write() {
    const u64 gfn = any_gfn();
    const u64 value = *rc::gen::element<u64>(0, 0, ++token_);
    if (const auto mfn = reach(gfn, true)) {
      word(*mfn) = value;
      contents_[gfn] = value;
    }
  }
  void read() {
    const u64 gfn = any_gfn();
    if (const auto mfn = reach(gfn, false)) RC_ASSERT(word(*mfn) == contents_[gfn]);
  }
  void balloon() {
    const u64 gfn = any_gfn();
    const u64 count = std::min(*rc::gen::element<u64>(1, 3, 512, 513, 2000), k_maximum - gfn);
    const auto done = pod_.decrease(Gfn{gfn}, count);
    if (!done) return;
    RC_ASSERT(*done <= count);
    contents_.erase(contents_.lower_bound(gfn), contents_.lower_bound(gfn + *done));
    for (u64 i = 0; i < *done; i += 97) RC_ASSERT(world_.p2m.lookup(Gfn{gfn + i}).type == Type::invalid);
  }
  void set_target() {
    const u64 before = pod_.accounts().held();
    const u64 target = *rc::gen::element<u64>(0, 1, 30, 100, k_2m, k_2m + 9, 3 * k_2m, 5 * k_2m + 1, k_1g + 1000);
    const auto reply = pod_.set_target(target);
    const pod::Accounts after = pod_.accounts();
    if (!reply) {
      RC_ASSERT(after.held() == before);
      return;
    }
    RC_ASSERT(after.held() == before + reply->added - reply->freed);
    RC_ASSERT(after.held() == target + reply->pending);
    if (reply->pending > 0) RC_ASSERT(after.cached() == 0u);
  }
  void sweep() {
    const Order order = *rc::gen::element(k_order_4k, k_order_2m, k_order_1g);
    const u64 before = pod_.accounts().populated;
    const u64 found = pod_.sweep(order, *rc::gen::element<u64>(1, 50, 5000));
    RC_ASSERT(pod_.accounts().populated == before - found);
  }
  void promote() {
    const Order order = *rc::gen::element(k_order_2m, k_order_2m, k_order_1g);
    static_cast<void>(pod_.promote(Gfn{any_gfn()}.align_down(order), order, *rc::gen::element<u64>(1, 100, 5000)));
  }
  void split() {
    const Gfn gfn{any_gfn()};
    if (world_.p2m.change_type(gfn, 1, Type::ram_rw, Type::ram_ro)) static_cast<void>(world_.p2m.change_type(gfn, 1, Type::ram_ro, Type::ram_rw));
  }
  void free_and_mark_again() {
    const u64 gfn = any_gfn();
    if (world_.p2m.lookup(Gfn{gfn}).type == Type::invalid) RC_ASSERT(pod_.add_entries(Gfn{gfn}, 1).has_value());
  }
  void check() {
    RC_ASSERT(world_.check() == "");
    const pod::Accounts accounts = pod_.accounts();
    RC_ASSERT(accounts.hold());
    RC_ASSERT(accounts.populated == world_.p2m.audit().mapped_frames + accounts.in_transit);
    const auto frames = world_.machine.statistics().frames;
    RC_ASSERT(frames[static_cast<usize>(mm::FrameKind::pod_cache)] == accounts.cached());
    RC_ASSERT(frames[static_cast<usize>(mm::FrameKind::guest)] == accounts.populated + accounts.in_transit);
    for (const auto& [gfn, value] : contents_) {
      const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
      if (there.type == Type::transit) continue;
      RC_ASSERT(world_.difference(Gfn{gfn}) == "");
      if (p2m::is_mapped(there.type)) RC_ASSERT(word(there.mfn.value()) == value);
      else RC_ASSERT(there.type == Type::pod && value == 0u);  // only zeroes were taken
    }
  }

  World world_;
  pod::Pod pod_;
  std::map<u64, u64> contents_;  ///< gfn -> its first word
  u64 token_ = 0;
};
}  // namespace

TEST_CASE("D1-D5, D7-D9: a guest with less memory than it believes in") {
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    const bool passed = rc::check("accounts hold and contents stay", [paging] {
      Guest guest(paging);
      const int steps = *rc::gen::inRange(1, 60);
      for (int i = 0; i < steps; ++i) guest.step();
      guest.finish();
    });
    CHECK(passed);
  }
}
