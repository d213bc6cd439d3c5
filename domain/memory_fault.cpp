// SPDX-License-Identifier: Apache-2.0
// What to do about an access that the nested tables stopped: bring memory in, wait, let it go on, or stop the guest.
#include "arch/x86/platform.hpp"
#include "domain/domain.hpp"
#include "domain/events.hpp"
#include "lib/log.hpp"

namespace octavo::domain {
using vcpu::MemoryVerdict;

MemoryVerdict Domain::memory_fault(const arch::MemoryFault& fault) {
  if (state_ == State::ended) return MemoryVerdict::retry;  // by the same instruction, before: it will not run again
  const Gfn gfn = to_gfn(fault.gpa);
  const p2m::Translation there = p2m_.lookup(gfn);
  if (there.type == p2m::Type::pod) return populate(gfn);
  if (there.type == p2m::Type::transit) {  // it will be there when the move is done; the guest helps
    ++memory_faults_.in_transit;
    pod_.advance(k_frames_moved);
    return MemoryVerdict::retry;
  }
  const bool permitted = fault.write ? there.access.write : fault.fetch ? there.access.execute : there.access.read;
  if (permitted) {  // a change of type that the tables do not show yet, or a stale translation
    ++memory_faults_.permitted;
    p2m_.push_down(gfn);
    return MemoryVerdict::retry;
  }
  ++memory_faults_.refused;
  log::error("{}: no memory at guest-physical {:x} to {}{}{}", name(), fault.gpa,
             fault.write ? "write" : fault.fetch ? "execute" : "read", fault.in_guest_tables ? ", for the guest's page tables" : "",
             there.type == p2m::Type::invalid ? "" : ": what is there forbids it");
  return MemoryVerdict::stop;
}

MemoryVerdict Domain::populate(Gfn gfn) {
  const Result<void> populated = pod_.populate(gfn);
  if (populated) {
    ++memory_faults_.populated;
    return MemoryVerdict::retry;
  }
  if (populated.error() == Error::again) {
    ++memory_faults_.searched;
    return MemoryVerdict::retry;
  }
  if (populated.error() != Error::out_of_memory) {
    ++memory_faults_.refused;
    log::error("{}: guest-physical {:x} cannot be populated: {}", name(), to_gpa(gfn), populated.error());
    return MemoryVerdict::stop;
  }
  ++memory_faults_.out_of_memory;
  state_ = State::out_of_memory;
  events().note(name(), to_string(state_));
  const pod::Accounts accounts = pod_.accounts();
  log::warning("{}: out of memory at guest-physical {:x}: it uses all {} MiB of its target, no page of it is zero, and it believes in {} MiB; it waits. "
               "`target {} <size>` lets it go on, `destroy {}` ends it", name(), to_gpa(gfn), accounts.target >> 8, accounts.maximum >> 8, name(), name());
  return MemoryVerdict::wait;
}

void Domain::set_memory_map(std::span<const ImageRange> ranges) {
  for (const ImageRange& range : ranges) ranges_[range_count_++] = {to_gfn(range.base), range.size >> k_page_shift};
}

Result<> Domain::bring_in(Gpa gpa, u64 size) {
  if (size == 0) return {};
  if (!range_within(gpa.value(), size, to_gpa(p2m_.limit()).value())) return fail(Error::out_of_range);
  for (Gfn gfn = to_gfn(gpa); gfn <= to_gfn(gpa + (size - 1)); gfn += 1) {
    const p2m::Type type = p2m_.lookup(gfn).type;
    if (type == p2m::Type::pod) OCTAVO_TRY(pod_.populate(gfn));
    if (type == p2m::Type::transit) {
      pod_.advance(k_frames_moved);
      return fail(Error::again);
    }
  }
  return {};
}
}  // namespace octavo::domain
