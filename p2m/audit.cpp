// SPDX-License-Identifier: Apache-2.0
// The audit (P14): every entry of every table against the format, the frame table, the statistics and the pool. Read-only, and in pieces
// where it must be: each table is looked at as a whole, the sums are compared when nothing has changed since the beginning.
#include <algorithm>

#include "p2m/p2m.hpp"

namespace octavo::p2m {
namespace {
void note(AuditReport& report, AuditReport::Finding finding, Gfn gfn) {
  if (report.findings++ > 0) return;
  report.first = finding;
  report.first_gfn = gfn;
}
}  // namespace

void P2m::audit_table(AuditReport& report, Mfn mfn, unsigned level, Gfn base) const {
  using Finding = AuditReport::Finding;
  ++report.tables;
  const std::optional<mm::Machine::FolioInfo> own = machine_->folio_at(mfn);
  if (!own || own->kind != mm::FrameKind::table || own->owner != configuration_.domain) note(report, Finding::wrong_owner, base);
  const Order order = order_of_level(level);
  const Table table(mfn);
  Counts counts{};
  for (unsigned i = 0; i < k_entries; ++i) {
    const u64 entry = table.load(i);
    const Gfn gfn = base + i * order.frames();
    if (!format_->is_sound(entry, level)) {
      note(report, Finding::unsound_entry, gfn);
      continue;
    }
    if (format_->is_table(entry, level)) {
      ++counts.filled;
      continue;
    }
    const Leaf leaf = format_->decode_leaf(entry);
    if (leaf.type == Type::invalid) continue;
    if (level > k_max_leaf_level || !configuration_.orders.has(order)) {
      note(report, Finding::order_not_allowed, gfn);
      continue;
    }
    ++counts.filled;
    if (is_ram(leaf.type)) ++counts.memory;
    if (leaf.type == Type::pod) ++counts.pod;
    ++report.leaves[level][static_cast<usize>(leaf.type)];
    if (!is_ram(leaf.type)) continue;
    report.mapped_frames += order.frames();
    const std::optional<mm::Machine::FolioInfo> folio = machine_->folio_at(leaf.mfn);
    if (!folio || folio->kind != mm::FrameKind::guest || folio->owner != configuration_.domain) {
      note(report, Finding::wrong_owner, gfn);
    } else if (folio->order < order || folio->references < order.frames()) {
      note(report, Finding::missing_references, gfn);
    }
  }
  const Counts kept = counts_of(mfn);
  if (kept.filled != counts.filled || kept.memory != counts.memory || kept.pod != counts.pod) note(report, Finding::wrong_counts, base);
}

AuditReport P2m::audit() const {
  Audit audit;
  static_cast<void>(audit_some(audit, ~u64{0}));
  return audit.report;
}

bool P2m::audit_some(Audit& audit, u64 budget) const {
  LockGuard guard(lock_);
  if (machine_ == nullptr) return true;
  if (audit.next == Gfn{0}) audit.changes = changes_;
  while (audit.next < limit()) {
    if (budget == 0) return false;
    --budget;
    // Down to the leaf or hole at `next`; each table on the way is looked at when its first entry comes.
    Mfn table = root_;
    for (unsigned level = configuration_.levels - 1;; --level) {
      if (audit.next.is_aligned(order_of_level(level + 1))) {
        audit_table(audit.report, table, level, audit.next);
        budget -= std::min(budget, u64{k_entries});
      }
      const u64 entry = Table(table).load(index(audit.next, level));
      const bool goes_on = level > 0 && format_->is_table(entry, level) && format_->is_sound(entry, level);
      if (!goes_on) {
        const Order passed = order_of_level(std::max(level, 1u));  // a leaf table is done as a whole
        audit.next = audit.next.align_down(passed) + passed.frames();
        break;
      }
      table = Format::mfn_of(entry);
    }
  }
  AuditReport& report = audit.report;
  report.sums_compared = audit.changes == changes_;
  if (!report.sums_compared) return true;
  if (report.tables + (moving_ ? 1 : 0) != pool_.statistics().used) note(report, AuditReport::Finding::wrong_tables, Gfn{0});
  for (unsigned level = 0; level < k_leaf_levels; ++level) {
    if (!std::equal(std::begin(report.leaves[level]), std::end(report.leaves[level]), statistics_.leaves[level])) {
      note(report, AuditReport::Finding::wrong_counts, Gfn{0});
    }
  }
  return true;
}
}  // namespace octavo::p2m
