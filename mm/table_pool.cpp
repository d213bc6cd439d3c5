// SPDX-License-Identifier: Apache-2.0
#include "mm/table_pool.hpp"

#include "mm/mapping.hpp"

namespace octavo::mm {

void TablePool::push(Mfn table) {
  Frame& frame = *machine_->table().find(table);
  frame.next = first_;
  first_ = machine_->table().index_of(frame);
}

Result<void> TablePool::reserve(Machine& machine, DomainId owner, u64 frames) {
  LockGuard guard(lock_);
  machine_ = &machine;
  const u64 before = statistics_.reserved;
  while (statistics_.reserved - before < frames) {
    Result<Folio> folio = machine.allocate(k_order_4k, owner, FrameKind::table, Contents::any);
    if (!folio) {
      while (statistics_.reserved > before) {
        Frame& frame = machine.table().at(first_);
        first_ = frame.next;
        const Folio back(machine, machine.table().mfn_of(frame), k_order_4k);
        --statistics_.reserved;
      }
      return fail(folio.error());
    }
    push(std::move(*folio).keep());
    ++statistics_.reserved;
  }
  return {};
}

bool TablePool::release_some(u64 budget) {
  LockGuard guard(lock_);
  if (statistics_.used != 0) arch::panic("mm::TablePool: released with tables in use");
  for (; first_ != k_no_frame; --budget, --statistics_.reserved) {
    if (budget == 0) return false;
    Frame& frame = machine_->table().at(first_);
    first_ = frame.next;
    const Folio back(*machine_, machine_->table().mfn_of(frame), k_order_4k);
  }
  return true;
}

u64 TablePool::available() const {
  LockGuard guard(lock_);
  return statistics_.reserved - statistics_.used;
}

Result<Mfn> TablePool::take() {
  Mfn table;
  {
    LockGuard guard(lock_);
    if (first_ == k_no_frame) return fail(Error::no_table_memory);
    Frame& frame = machine_->table().at(first_);
    first_ = frame.next;
    if (++statistics_.used > statistics_.peak) statistics_.peak = statistics_.used;
    table = machine_->table().mfn_of(frame);
  }
  zero_frames(table, k_order_4k);
  return table;
}

void TablePool::give_back(Mfn table) {
  LockGuard guard(lock_);
  push(table);
  --statistics_.used;
}

TablePool::Statistics TablePool::statistics() const {
  LockGuard guard(lock_);
  return statistics_;
}
}  // namespace octavo::mm
