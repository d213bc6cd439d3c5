// SPDX-License-Identifier: Apache-2.0
// A simulated machine with a mm::Machine, one p2m and TLBs on two CPUs, and the check that every memory test makes after each
// step: audit clean, reference walk equal to lookup, no stale translation, accounts exact.
#pragma once
#include <stdexcept>
#include <vector>

#include "mm/machine.hpp"
#include "p2m/p2m.hpp"
#include "tests/model/tlb.hpp"
#include "tests/model/walker.hpp"

namespace octavo::model {

/// What a test takes for granted before it begins.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

struct World {
  static constexpr DomainId k_domain{3};
  static constexpr arch::TlbTag k_tag{5};

  explicit World(p2m::Paging paging, u64 bytes = u64{4} << 30, u64 tables = 64, p2m::OrderSet orders = p2m::k_all_orders)
      : simulated(bytes, 2), nested(paging == p2m::Paging::npt ? Nested::npt : Nested::ept) {
    const arch::MemoryRange ram[] = {{Hpa{0}, bytes}};
    require(machine.initialize(ram, ram, mm::Contents::zero).has_value(), "no machine");
    free_at_start = machine.statistics().free_frames();
    require(p2m.initialize(machine, {.domain = k_domain, .paging = paging, .orders = orders, .tag = k_tag, .table_frames = tables}).has_value(), "no p2m");
    simulated.on_flush.push_back([this](arch::TlbTag tag, u64 cpus) {
      if (tag == k_tag && (cpus & 1) != 0) tlb0.flush();
      if (tag == k_tag && (cpus & 2) != 0) tlb1.flush();
    });
    for (unsigned cpu = 0; cpu < 2; ++cpu) p2m.users().enter(cpu);
    simulated.flushes = 0;  // those of the first entry
  }

  [[nodiscard]] u64 root() const { return p2m.root().value(); }
  [[nodiscard]] NestedWalk walk(Gfn gfn) const { return nested_walk(simulated, nested, root(), gfn.value()); }

  /// A frame of guest memory of its own; the reference goes to whoever maps it.
  [[nodiscard]] Mfn mapped_folio(Gfn gfn, Order order, p2m::Type type = p2m::Type::ram_rw) {
    const auto folio = machine.allocate(order, k_domain, mm::FrameKind::guest);
    require(folio.has_value() && p2m.set(gfn, folio->mfn(), order, type), "no folio mapped");
    return folio->mfn();
  }

  /// All that the machine has left.
  [[nodiscard]] std::vector<mm::Folio> hoard() {
    std::vector<mm::Folio> all;
    for (unsigned order = mm::k_orders; order-- > 0;) {
      while (auto folio = machine.allocate(Order{order}, DomainId::hypervisor, mm::FrameKind::hypervisor, mm::Contents::any)) all.push_back(std::move(*folio));
    }
    return all;
  }

  /// lookup() and the manuals agree about gfn. Returns a description of the difference, or nothing.
  [[nodiscard]] std::string difference(Gfn gfn) const {
    const p2m::Translation ours = p2m.lookup(gfn);
    const NestedWalk theirs = walk(gfn);
    const auto say = [&](const std::string& what) { return "gfn " + std::to_string(gfn.value()) + ": " + what; };
    if (theirs.result == NestedWalk::Result::malformed) return say(theirs.problem);
    const bool mapped = theirs.result == NestedWalk::Result::mapped;
    if (mapped != p2m::is_mapped(ours.type)) return say("mapped or not");
    if (ours.order.value() != theirs.order) return say("order");
    if (!mapped) return {};
    if (ours.mfn.value() != theirs.mfn) return say("mfn");
    // A pending type above may be wider than what the leaf still says; it is never narrower.
    if ((theirs.write && !ours.access.write) || ours.access.read != theirs.read || ours.access.execute != theirs.execute) return say("rights");
    if (theirs.uncached != (ours.type == p2m::Type::mmio_direct)) return say("memory type");
    return {};
  }

  [[nodiscard]] std::string check() const {
    const p2m::AuditReport report = p2m.audit();
    if (!report.clean()) {
      return "audit finds " + std::to_string(static_cast<int>(report.first)) + " at gfn " + std::to_string(report.first_gfn.value());
    }
    for (const AdversarialTlb* tlb : {&tlb0, &tlb1}) {
      if (std::string problem = tlb->stale(root()); !problem.empty()) return problem;
    }
    if (simulated.mapped_windows != 1) return "a mapping was left open";
    return {};
  }

  SimulatedMachine simulated;
  Nested nested;
  mm::Machine machine;
  AdversarialTlb tlb0{simulated, nested};
  AdversarialTlb tlb1{simulated, nested};
  u64 free_at_start = 0;
  p2m::P2m p2m;
};
}  // namespace octavo::model
