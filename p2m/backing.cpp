// SPDX-License-Identifier: Apache-2.0
#include "p2m/backing.hpp"

#include <algorithm>

namespace octavo::p2m {
namespace {

/// Calls f(Mapping<u8> of the frame, offset in it, length, how much came before) for each frame of [gpa, gpa + size).
Result<void> each_piece(const P2m& p2m, Gpa gpa, u64 size, auto&& f) {
  for (u64 done = 0; done < size;) {
    const Gpa at = gpa + done;
    const Translation there = p2m.lookup(to_gfn(at));
    if (!is_ram(there.type)) return fail(Error::not_found);
    const u64 length = std::min(size - done, k_page_size - at.page_offset());
    const mm::Mapping<u8> frame(there.mfn);
    f(frame.span().subspan(at.page_offset(), length), done);
    done += length;
  }
  return {};
}
}  // namespace

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

Result<void> write_guest(P2m& p2m, Gpa gpa, std::span<const u8> bytes) {
  return each_piece(p2m, gpa, bytes.size(), [&](std::span<u8> frame, u64 done) {
    __builtin_memcpy(frame.data(), bytes.data() + done, frame.size());
  });
}

Result<void> read_guest(const P2m& p2m, Gpa gpa, std::span<u8> bytes) {
  return each_piece(p2m, gpa, bytes.size(), [&](std::span<const u8> frame, u64 done) {
    __builtin_memcpy(bytes.data() + done, frame.data(), frame.size());
  });
}
}  // namespace octavo::p2m
