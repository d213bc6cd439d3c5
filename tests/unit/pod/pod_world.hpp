// SPDX-License-Identifier: Apache-2.0
// A guest on populate on demand, as the tests of this folder need it.
#pragma once
#include "pod/pod.hpp"
#include "tests/model/world.hpp"

namespace octavo::model {

struct Believer : World {
  /// With `contents` any, all of the machine's memory has been used before, so that it has to be made zero.
  Believer(u64 target, u64 maximum, u64 tables = 64, p2m::OrderSet orders = p2m::k_all_orders, u64 bytes = u64{4} << 30,
           mm::Contents contents = mm::Contents::zero)
      : World(GENERATE(p2m::Paging::npt, p2m::Paging::ept), bytes, tables, orders), pod(p2m) {
    if (contents == mm::Contents::any) hoard().clear();
    REQUIRE(pod.initialize(machine, target, maximum));
    REQUIRE(pod.add_entries(Gfn{0}, maximum));
    simulated.flushes = 0;
  }
  ~Believer() { pod.destroy(); }
  Believer(const Believer&) = delete;
  Believer& operator=(const Believer&) = delete;

  /// The guest writes a word, which populates what is an entry.
  void write(u64 gfn, u64 value) {
    auto mfn = tlb0.access(root(), gfn, true);
    if (!mfn) {
      REQUIRE(pod.populate(Gfn{gfn}));
      mfn = tlb0.access(root(), gfn, true);
    }
    REQUIRE(mfn);
    *reinterpret_cast<u64*>(simulated.at(to_hpa(Mfn{*mfn}))) = value;
  }
  [[nodiscard]] u64 word(u64 gfn) const { return simulated.read64(to_hpa(p2m.lookup(Gfn{gfn}).mfn)); }
  [[nodiscard]] p2m::Type type(u64 gfn) const { return p2m.lookup(Gfn{gfn}).type; }
  [[nodiscard]] mm::Folio pin(u64 gfn) {
    auto folio = machine.reference(p2m.lookup(Gfn{gfn}).mfn, k_order_4k, k_domain, mm::FrameKind::guest);
    REQUIRE(folio);
    return std::move(*folio);
  }
  /// The audit, and the accounts against the machine's.
  [[nodiscard]] std::string problem() const {
    if (std::string found = check(); !found.empty()) return found;
    const pod::Accounts accounts = pod.accounts();
    if (!accounts.hold()) return "more is held than target and pending";
    if (accounts.populated != p2m.audit().mapped_frames + p2m.frames_in_transit()) return "populated";
    const auto frames = machine.statistics().frames;
    if (frames[static_cast<usize>(mm::FrameKind::pod_cache)] != accounts.cached()) return "cached";
    return {};
  }

  pod::Pod pod;
};
}  // namespace octavo::model
