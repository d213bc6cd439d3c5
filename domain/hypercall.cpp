// SPDX-License-Identifier: Apache-2.0
// Hypercalls: registers in, a check of every argument, one call into one room, a result code out.
#include "include/octavo/hypercall.h"

#include "domain/domain.hpp"

namespace octavo::domain {
using arch::Gpr;

namespace {
/// How many leaves, holes or entries one call goes through before it comes back; one of 2M that is zeroed, or a table of entries that takes a hole's
/// place, counts for all of them.
constexpr u64 k_budget = 64;
/// How many entries one call audits.
constexpr u64 k_audited = 2048;

[[nodiscard]] i64 code_of(Error error) { return -static_cast<i64>(error); }
}  // namespace

/// Is [gfn, gfn + count) inside one range of the memory map?
bool Domain::is_ram_range(Gfn gfn, u64 count) const {
  for (usize i = 0; i < range_count_; ++i) {
    const p2m::FrameRange& range = ranges_[i];
    if (gfn >= range.first && range_within(gfn - range.first, count, range.count)) return true;
  }
  return false;
}

/// MEMORY_DECREASE and MEMORY_INCREASE: a piece of the range, from where R8 says.
i64 Domain::resize(arch::GuestRegisters& regs, bool more) {
  const u64 count = regs[Gpr::rsi];
  const u64 done = regs[Gpr::r8];
  const auto ends = [&regs](i64 result, u64 frames) {
    regs[Gpr::rdi] = frames;
    return result;
  };
  if (done > count) return ends(-OCTAVO_EINVALID, 0);
  if (!is_ram_range(Gfn{regs[Gpr::rdi]}, count)) return ends(-OCTAVO_ERANGE, 0);
  const Gfn gfn = Gfn{regs[Gpr::rdi]} + done;
  const u64 left = count - done;
  u64 handled = 0;
  for (u64 budget = k_budget; handled < left && budget > 0;) {
    const u64 populated = more ? 0 : pod_.accounts().populated;
    const Result<u64> piece = more ? pod_.increase(gfn + handled, left - handled, 1) : pod_.decrease(gfn + handled, left - handled, 1);
    if (!piece) return ends(code_of(piece.error()), done + handled);
    if (*piece == 0 && !more && p2m_.lookup(gfn + handled).type == p2m::Type::transit) {  // it will be there when the move is done
      pod_.advance(k_frames_moved);
      break;
    }
    if (*piece == 0) return ends(more ? -OCTAVO_EEXIST : -OCTAVO_ENOENT, done + handled);
    const Order entry = p2m_.configuration().orders.largest((gfn + handled).value(), *piece);
    handled += *piece;
    const bool large = !more && populated - pod_.accounts().populated > 1;
    budget -= large ? budget : std::min(budget, *piece >> entry.value());
  }
  if (handled == left) return ends(0, count);
  regs[Gpr::r8] = done + handled;
  return -OCTAVO_EAGAIN;
}

i64 Domain::memory_info(arch::GuestRegisters& regs) {
  const pod::Accounts accounts = pod_.accounts();
  u64& value = regs[Gpr::rdi];
  switch (value) {
    case OCTAVO_MEMORY_TARGET: value = accounts.target; return 0;
    case OCTAVO_MEMORY_MAXIMUM: value = accounts.maximum; return 0;
    case OCTAVO_MEMORY_POPULATED: value = accounts.populated; return 0;
    case OCTAVO_MEMORY_ENTRIES: value = accounts.entries; return 0;
    case OCTAVO_MEMORY_CACHED: value = accounts.cached(); return 0;
    case OCTAVO_MEMORY_PENDING: value = accounts.pending; return 0;
    case OCTAVO_MEMORY_IN_4K:
    case OCTAVO_MEMORY_IN_2M:
    case OCTAVO_MEMORY_IN_1G: value = p2m_.statistics().memory_frames(static_cast<unsigned>(value - OCTAVO_MEMORY_IN_4K)); return 0;
    default: return -OCTAVO_EINVALID;
  }
}

i64 Domain::memory_audit(arch::GuestRegisters& regs) {
  const u64 at = regs[Gpr::r8];
  regs[Gpr::rdi] = 0;
  if (at >= p2m_.limit().value() || !Gfn{at}.is_aligned(k_order_2m)) return -OCTAVO_EINVALID;
  p2m::Audit audit;
  audit.next = Gfn{at};  // from the middle on the sums are not compared
  audit.changes = ~u64{0};
  const bool done = p2m_.audit_some(audit, k_audited);
  regs[Gpr::rdi] = audit.report.findings;
  if (done) return 0;
  regs[Gpr::r8] = audit.next.value();
  return -OCTAVO_EAGAIN;
}

void Domain::hypercall(vcpu::Vcpu& vcpu) {
  arch::GuestRegisters& regs = vcpu.context().regs;
  i64 result = -OCTAVO_EUNSUPPORTED;
  switch (regs[Gpr::rax]) {
    case OCTAVO_HYPERCALL(OCTAVO_HC_VERSION):
      regs[Gpr::rdi] = OCTAVO_ABI_VERSION;
      result = 0;
      break;
    case OCTAVO_HYPERCALL(OCTAVO_HC_CONSOLE_WRITE):
      result = regs[Gpr::rdi] > 0xFF ? -OCTAVO_EINVALID : 0;
      if (result == 0) console_output(static_cast<u8>(regs[Gpr::rdi]));
      break;
    case OCTAVO_HYPERCALL(OCTAVO_HC_MEMORY_DECREASE): result = resize(regs, false); break;
    case OCTAVO_HYPERCALL(OCTAVO_HC_MEMORY_INCREASE): result = resize(regs, true); break;
    case OCTAVO_HYPERCALL(OCTAVO_HC_MEMORY_INFO): result = memory_info(regs); break;
    case OCTAVO_HYPERCALL(OCTAVO_HC_MEMORY_AUDIT): result = memory_audit(regs); break;
    default: ++unknown_hypercalls_; break;
  }
  regs[Gpr::rax] = static_cast<u64>(result);
}
}  // namespace octavo::domain
