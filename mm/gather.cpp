// SPDX-License-Identifier: Apache-2.0
#include "mm/gather.hpp"

#include <algorithm>

namespace octavo::mm {

void Gather::leaf(Mfn mfn, Order order) {
  flush_wanted_ = true;
  if (run_count_ > 0) {
    Run& last = runs_[run_count_ - 1];
    if (last.first + last.frames == mfn) {
      last.frames += order.frames();
      return;
    }
  }
  if (run_count_ == k_runs) complete();
  flush_wanted_ = true;
  runs_[run_count_++] = {mfn, order.frames()};
}

void Gather::table(Mfn mfn) {
  flush_wanted_ = true;
  Frame& frame = *pool_.machine_->table().find(mfn);
  frame.next = tables_;
  tables_ = pool_.machine_->table().index_of(frame);
}

void Gather::flush() {
  if (!flush_wanted_) return;
  client_.before_flush();
  if (users_.flush()) ++flushes_;
  ReadSection::wait_for_all();
  flush_wanted_ = false;
}

void Gather::check_flushed() const {
  if (flush_wanted_) arch::panic("mm::Gather: freeing what has not been flushed");
}

void Gather::drop(Run run) {
  while (run.frames > 0) {
    const std::optional<Machine::FolioInfo> folio = pool_.machine_->folio_at(run.first);
    if (!folio) arch::panic("mm::Gather: a leaf's frame is no folio");
    const u64 n = std::min(run.frames, folio->order.frames() - (run.first - folio->head));
    pool_.machine_->drop(run.first, static_cast<u32>(n));
    run = {run.first + n, run.frames - n};
  }
}

Folio Gather::take_flushed(Mfn mfn, Order order) {
  check_flushed();
  return Folio{*pool_.machine_, mfn, order, static_cast<u32>(order.frames())};
}

void Gather::drop_flushed_table(Mfn mfn) {
  check_flushed();
  pool_.give_back(mfn);
}

void Gather::free() {
  check_flushed();
  for (usize i = 0; i < run_count_; ++i) drop(runs_[i]);
  run_count_ = 0;
  while (tables_ != k_no_frame) {
    Frame& frame = pool_.machine_->table().at(tables_);
    tables_ = frame.next;
    pool_.give_back(pool_.machine_->table().mfn_of(frame));
  }
}
}  // namespace octavo::mm
