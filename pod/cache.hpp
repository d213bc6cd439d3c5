// SPDX-License-Identifier: Apache-2.0
// A domain's populate-on-demand cache (D1): zeroed folios that it owns and has not mapped. They lie on buddy lists, so what
// is put in re-merges up to 2M and 1G, and a request breaks the smallest run that serves: a 2M one before a 1G one.
// The caller has the pod's lock.
#pragma once
#include "mm/machine.hpp"

namespace octavo::pod {

class Cache {
 public:
  Cache() = default;
  /// Gives everything back to the machine.
  ~Cache() { clear(); }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  void attach(mm::Machine& machine, DomainId owner) {
    machine_ = &machine;
    owner_ = owner;
    buddy_.attach(machine.table(), owner);
  }

  /// Files a folio whose frames are zero. The handle must hold all of its references; busy or misaligned otherwise, and
  /// the handle is as before.
  [[nodiscard]] Result<void> add(mm::Folio& folio);
  /// 2^order zeroed frames, as guest memory of the owner; out_of_memory when no run is that large.
  [[nodiscard]] Result<mm::Folio> get(Order order);
  /// Gives up to `frames` frames back to the machine, the largest runs first, breaking one only for the remainder. Returns how
  /// many; less than asked only when the cache is empty then, or so many folios have been given.
  u64 give_back(u64 frames, u64 most_folios = ~u64{0});
  void clear() { give_back(frames()); }

  [[nodiscard]] u64 frames() const { return buddy_.frames(); }
  /// Frames that can be had at an order without breaking a larger leaf's run: by leaf level, 4K 2M 1G.
  [[nodiscard]] std::array<u64, 3> frames_by_level() const;

 private:
  mm::Machine* machine_ = nullptr;
  DomainId owner_{};
  mm::Buddy buddy_{DomainId::hypervisor, mm::FrameKind::pod_cache, mm::FrameKind::pod_cache, 1};
};
}  // namespace octavo::pod
