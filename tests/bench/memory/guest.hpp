// SPDX-License-Identifier: Apache-2.0
// A guest of any size on the simulated machine, for figures: a terabyte of it costs the host only the tables and the frame records that
// are really touched. It is backed by 1G folios that are never written; the leaves over them are of the size that is asked for.
#pragma once
#include <vector>

#include "pod/pod.hpp"
#include "tests/model/machine.hpp"
#include "tests/model/work.hpp"

namespace octavo::bench {

enum class Shape {
  empty,      ///< nothing mapped
  leaves_1g,  ///< all memory in leaves of this size
  leaves_2m,
  leaves_4k,
  pod_1g,      ///< all entries of populate on demand, and as much in the cache
  pod_2m,      ///< the same for a domain that may not have 1G
  pod_little,  ///< entries of 1G, and only 511 frames in the cache
};
[[nodiscard]] const char* name_of(Shape shape);

inline constexpr DomainId k_domain{3};
inline constexpr u64 k_2m = k_order_2m.frames();
inline constexpr u64 k_1g = k_order_1g.frames();
inline constexpr unsigned k_samples = 64;

/// Whoever measures stops when the core does not do what is asked of it.
void require(bool done, const char* what);

class Guest {
 public:
  Guest(u64 gib, Shape shape);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// From here on Work::tables is counted.
  void count_tables();

  [[nodiscard]] u64 frames() const { return gib * k_1g; }
  /// The i-th of k_samples places, spread over the whole guest, at different 2M; or of samples_1g() different gigabytes.
  [[nodiscard]] Gfn at_2m(unsigned i) const { return Gfn{i * (gib * 512 / k_samples) * k_2m}; }
  [[nodiscard]] Gfn at_1g(unsigned i) const { return Gfn{i * gib / samples_1g() * k_1g}; }
  [[nodiscard]] unsigned samples_1g() const { return static_cast<unsigned>(gib < k_samples ? gib : k_samples); }

  /// Makes the leaves of [gfn, gfn + 2^order) the next smaller size, wherever they are of that order; the folios stay.
  void cut(Gfn gfn, Order order);
  /// A hole there, and a folio of the guest's to map into it.
  void make_hole(Gfn gfn, Order order) { require(p2m.unmap_range(gfn, order.frames()).has_value(), "unmap"); }
  [[nodiscard]] mm::Folio folio(Order order);
  /// [gfn, gfn + 2^order) mapped by a leaf of that order over a folio of its own.
  void map_own(Gfn gfn, Order order);
  /// The same memory in 512 smaller leaves, none of whose folios lies beside the next one's.
  void scatter(Gfn gfn, Order order);

  const u64 gib;
  const Shape shape;
  model::SimulatedMachine simulated;
  mm::Machine machine;
  p2m::P2m p2m;
  pod::Pod pod{p2m};
  std::vector<mm::Folio> folios;  ///< an operation's own, one for each sample

 private:
  void back();
};
}  // namespace octavo::bench
