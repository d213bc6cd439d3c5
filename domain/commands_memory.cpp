// SPDX-License-Identifier: Apache-2.0
#include "domain/commands.hpp"
#include "domain/manager.hpp"
#include "mm/machine.hpp"

namespace octavo::domain {
namespace {

constexpr std::string_view k_page_sizes[] = {"4K", "2M", "1G"};  // by leaf level
static_assert(std::size(k_page_sizes) == p2m::k_leaf_levels);

/// Entries that an audit looks at before the guests run on.
constexpr u64 k_audit_piece = 1u << 17;

/// Leaves of one size, whatever they map.
u64 leaves(const p2m::Statistics& statistics, unsigned level) {
  u64 sum = 0;
  for (const u64 n : statistics.leaves[level]) sum += n;
  return sum;
}

void machine_row(Answer& answer) {
  const mm::Machine::Statistics machine = mm::machine().statistics();
  answer.begin_rows("machine");
  answer.begin_row();
  answer.field_bytes("total", machine.total_frames * k_page_size);
  answer.field_bytes("free", machine.free_frames() * k_page_size);
  answer.field("free_1g", machine.free_blocks[k_order_1g.value()]);
  u64 free_2m = 0;
  for (unsigned order = k_order_2m.value(); order < mm::k_orders; ++order) {
    free_2m += machine.free_blocks[order] << (order - k_order_2m.value());
  }
  answer.field("free_2m", free_2m);
  answer.end_row();
  answer.end_rows();
}

void domain_row(Answer& answer, Domain& domain) {
  const p2m::Statistics s = domain.p2m().statistics();
  answer.begin_row();
  answer.field("domain", domain.name());
  answer.field_bytes("memory", domain.config().memory);
  answer.field("leaves_1g", leaves(s, 2));
  answer.field("leaves_2m", leaves(s, 1));
  answer.field("leaves_4k", leaves(s, 0));
  answer.field("tables", s.tables.used);
  answer.field("tables_peak", s.tables.peak);
  answer.field("tables_max", s.tables.reserved);
  answer.end_row();
}

/// How a leaf or a hole of this order is called.
std::string_view size_name(Order order) {
  for (const auto& [known, name] : {std::pair{k_order_4k, k_page_sizes[0]}, {k_order_2m, k_page_sizes[1]}, {k_order_1g, k_page_sizes[2]}, {k_order_512g, {"512G"}}}) {
    if (order == known) return name;
  }
  return "?";
}

void translation(Words words, Domain& domain, Gfn gfn, Answer& answer) {
  const p2m::Translation there = domain.p2m().lookup(gfn);
  const char access[] = {there.access.read ? 'r' : '-', there.access.write ? 'w' : '-', there.access.execute ? 'x' : '-'};
  answer.ok(words[0]);
  answer.begin_rows("translation");
  answer.begin_row();
  answer.field_hex("gfn", gfn.value());
  answer.field("type", p2m::to_string(there.type));
  answer.field("size", size_name(there.order));
  answer.field_hex("mfn", there.mfn.value());
  answer.field("access", std::string_view{access, sizeof access});
  answer.field_flag("accessed", there.accessed);
  answer.field_flag("dirty", there.dirty);
  answer.end_row();
  answer.end_rows();
}

const char* to_string(p2m::AuditReport::Finding finding) {
  using enum p2m::AuditReport::Finding;
  switch (finding) {
    case none: return "none";
    case unsound_entry: return "unsound entry";
    case order_not_allowed: return "order not allowed";
    case wrong_owner: return "wrong owner";
    case missing_references: return "missing references";
    case wrong_counts: return "wrong counts";
    case wrong_tables: return "wrong tables";
  }
  return "?";
}
}  // namespace

void mem(Words words, Answer& answer) {
  Domain* const only = words.size() > 1 ? named_domain(words, answer) : nullptr;
  if (words.size() > 1 && only == nullptr) return;
  answer.ok(words[0]);
  if (only == nullptr) machine_row(answer);
  answer.begin_rows("domains");
  if (only != nullptr) domain_row(answer, *only);
  else manager().for_each([&](Domain& domain) { domain_row(answer, domain); });
  answer.end_rows();
}

void p2m_leaves(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  if (words.size() > 2) {
    const std::optional<u64> gfn = parse_number(words[2]);
    if (!gfn) return answer.failed(words[0], "a guest frame number is decimal, or hexadecimal behind 0x");
    if (*gfn >= domain->p2m().limit().value()) return answer.failed(words[0], "beyond the guest-physical address space");
    return translation(words, *domain, Gfn{*gfn}, answer);
  }
  const p2m::Statistics s = domain->p2m().statistics();
  answer.ok(words[0]);
  answer.begin_rows("leaves");
  for (unsigned level = p2m::k_leaf_levels; level-- > 0;) {
    for (unsigned type = 0; type < p2m::k_types; ++type) {
      const u64 n = s.leaves[level][type];
      if (n == 0) continue;
      answer.begin_row();
      answer.field("size", k_page_sizes[level]);
      answer.field("type", p2m::to_string(static_cast<p2m::Type>(type)));
      answer.field("leaves", n);
      answer.field_bytes("covers", n << (p2m::order_of_level(level).value() + k_page_shift));
      answer.end_row();
    }
  }
  answer.end_rows();
}

void audit(Words words, Answer& answer) {
  Domain* const only = words.size() > 1 ? named_domain(words, answer) : nullptr;
  if (words.size() > 1 && only == nullptr) return;
  answer.ok(words[0]);
  answer.begin_rows("audits");
  manager().for_each([&](Domain& domain) {
    if (only != nullptr && only != &domain) return;
    p2m::Audit audit;
    while (!domain.p2m().audit_some(audit, k_audit_piece)) manager().meanwhile();
    const p2m::AuditReport& report = audit.report;
    answer.begin_row();
    answer.field("domain", domain.name());
    answer.field_flag("clean", report.clean());
    answer.field("findings", report.findings);
    answer.field("first", to_string(report.first));
    answer.field_hex("first_gfn", report.first_gfn.value());
    answer.field("tables", report.tables);
    answer.field_bytes("mapped", report.mapped_frames * k_page_size);
    answer.field_flag("sums", report.sums_compared);
    answer.end_row();
  });
  answer.end_rows();
}
}  // namespace octavo::domain
