// SPDX-License-Identifier: Apache-2.0
#include "p2m/backing.hpp"

#include <algorithm>

namespace octavo::p2m {
Result<Backing> populate_ram(P2m& p2m, mm::Machine& machine, Gfn first, u64 count) {
  const Configuration& configuration = p2m.configuration();
  const auto back = [&](Gfn gfn, Order order) -> Result<void> {
    const mm::Folio folio = OCTAVO_TRY(machine.allocate(order, configuration.domain, mm::FrameKind::guest));
    return p2m.set(gfn, folio.mfn(), order, Type::ram_rw);
  };
  Backing backing;
  u64 done = 0;
  while (done < count) {
    unsigned level = level_of_order(configuration.orders.largest((first + done).value(), count - done));
    ++backing.asked[level];
    for (const u64 end = done + order_of_level(level).frames(); done < end;) {
      const Order order = order_of_level(level);
      const Result<void> backed = back(first + done, order);
      if (backed) {
        ++backing.backed[level];
        done += order.frames();
      } else if (backed.error() == Error::out_of_memory && level > 0) {
        do --level; while (!configuration.orders.has(order_of_level(level)));
      } else {
        // Every leaf of the part that is done lies in it as a whole, so this needs no table and no folio to be cut.
        if (done > 0 && !p2m.unmap_range(first, done)) arch::panic("p2m: what was just populated cannot be unmapped");
        return fail(backed.error());
      }
    }
  }
  return backing;
}

namespace {
/// f(frame's bytes from gpa on, how much came before) for each frame of [gpa, gpa + size), while nobody can take the frame away.
Result<void> each_piece(const P2m& p2m, Gpa gpa, u64 size, auto&& f) {
  for (u64 done = 0; done < size;) {
    const Gpa at = gpa + done;
    const u64 length = std::min(size - done, k_page_size - at.page_offset());
    const mm::ReadSection section;
    const Translation there = p2m.lookup(to_gfn(at));
    if (there.type == Type::transit) return fail(Error::busy);
    if (!is_ram(there.type)) return fail(Error::not_found);
    const mm::Mapping<u8> frame(there.mfn);
    if (f(frame.span().subspan(at.page_offset(), length), done, there)) done += length;
    else return fail(Error::again);
  }
  return {};
}
}  // namespace

Result<void> write_guest(P2m& p2m, Gpa gpa, std::span<const u8> bytes) {
  if (bytes.empty()) return {};
  if (!range_within(gpa.value(), bytes.size(), to_gpa(p2m.limit()).value())) return fail(Error::out_of_range);
  const Gfn first = to_gfn(gpa);
  for (;;) {
    p2m.mark_written(first, to_gfn(gpa + (bytes.size() - 1)) - first + 1);
    const Result<void> done = each_piece(p2m, gpa, bytes.size(), [&](std::span<u8> frame, u64 before, const Translation& there) {
      if (!there.written) return false;  // it was replaced since it was marked: a sweep would not know
      __builtin_memcpy(frame.data(), bytes.data() + before, frame.size());
      return true;
    });
    if (done || done.error() != Error::again) return done;
  }
}

Result<void> read_guest(const P2m& p2m, Gpa gpa, std::span<u8> bytes) {
  if (!range_within(gpa.value(), bytes.size(), to_gpa(p2m.limit()).value())) return fail(Error::out_of_range);
  return each_piece(p2m, gpa, bytes.size(), [&](std::span<const u8> frame, u64 before, const Translation&) {
    __builtin_memcpy(bytes.data() + before, frame.data(), frame.size());
    return true;
  });
}
}  // namespace octavo::p2m
