// SPDX-License-Identifier: Apache-2.0
#include "pod/cache.hpp"

#include <algorithm>

namespace octavo::pod {

Result<void> Cache::add(mm::Folio& folio) {
  OCTAVO_TRY(machine_->convert(folio, mm::FrameKind::pod_cache));
  const Order order = folio.order();
  buddy_.insert(std::move(folio).keep(), order, mm::FrameKind::pod_cache);
  return {};
}

Result<mm::Folio> Cache::get(Order order) {
  const std::optional<mm::Buddy::Block> block = buddy_.take(order, true);
  if (!block) return fail(Error::out_of_memory);
  mm::Folio folio = machine_->adopt(block->mfn, order, owner_, mm::FrameKind::pod_cache);
  OCTAVO_TRY(machine_->convert(folio, mm::FrameKind::guest));
  return folio;
}

u64 Cache::give_back(u64 frames, u64 most_folios) {
  u64 given = 0;
  for (; given < frames && buddy_.frames() > 0 && most_folios > 0; --most_folios) {
    const u64 left = frames - given;
    unsigned fitting = mm::k_max_order.value();
    while (Order{fitting}.frames() > left) --fitting;
    // The largest run that fits as a whole; else a part of the smallest one that is larger.
    const Order order = buddy_.largest(Order{fitting}).value_or(Order{fitting});
    const std::optional<mm::Buddy::Block> block = buddy_.take(order, true);
    if (!block) break;
    const mm::Folio back = machine_->adopt(block->mfn, order, owner_, mm::FrameKind::pod_cache);
    given += order.frames();
  }
  return given;
}

std::array<u64, 3> Cache::frames_by_level() const {
  std::array<u64, 3> frames{};
  for (unsigned order = 0; order < mm::k_orders; ++order) frames[order / 9] += buddy_.blocks()[order] << order;
  return frames;
}
}  // namespace octavo::pod
