// SPDX-License-Identifier: Apache-2.0
// Memory on its way from the machine to a domain: one folio at a time, made zero in pieces, so that no call is long however large
// the folio is (P15). Under the lock of whoever it belongs to.
#pragma once
#include <algorithm>

#include "mm/machine.hpp"
#include "mm/mapping.hpp"

namespace octavo::mm {

class Claim {
 public:
  /// A zeroed folio of guest memory for `owner`. Makes up to `budget` frames zero, and takes what it used off it; again until the folio is zero,
  /// and as long the same order must be asked for. out_of_memory: the machine has none of that order.
  [[nodiscard]] Result<Folio> take(Machine& machine, Order order, DomainId owner, u64& budget) {
    if (!folio_) {
      Machine::Allocation allocation = OCTAVO_TRY(machine.allocate_as_it_is(order, owner, FrameKind::guest));
      folio_ = std::move(allocation.folio);
      zeroed_ = allocation.is_zero ? order.frames() : 0;
    }
    if (folio_.order() != order) return fail(Error::invalid_argument);
    while (zeroed_ < order.frames()) {
      if (budget == 0) return fail(Error::again);
      const Order piece = std::min(order, k_order_2m);
      zero_frames(folio_.mfn() + zeroed_, piece);
      zeroed_ += piece.frames();
      budget -= std::min(budget, piece.frames());
    }
    return std::move(folio_);
  }
  /// The folio that is being made zero; 0: none.
  [[nodiscard]] u64 frames() const { return folio_ ? folio_.order().frames() : 0; }
  void reset() { folio_.reset(); }

 private:
  Folio folio_;
  u64 zeroed_ = 0;
};
}  // namespace octavo::mm
