// SPDX-License-Identifier: Apache-2.0
#include "p2m/backing.hpp"

#include <algorithm>

namespace octavo::p2m {
Result<void> Population::some(P2m& p2m, mm::Machine& machine, u64& budget) {
  const Configuration& configuration = p2m.configuration();
  while (done_ < count_) {
    if (done_ == piece_end_) {
      level_ = level_of_order(configuration.orders.largest((first_ + done_).value(), count_ - done_));
      piece_end_ = done_ + order_of_level(level_).frames();
      ++backing_.asked[level_];
    }
    if (budget == 0) return fail(Error::again);
    const Order order = order_of_level(level_);
    Result<mm::Folio> folio = claim_.take(machine, order, configuration.domain, budget);
    if (!folio && folio.error() == Error::out_of_memory && level_ > 0) {
      do --level_; while (!configuration.orders.has(order_of_level(level_)));
      continue;
    }
    if (!folio) return fail(folio.error());
    OCTAVO_TRY(p2m.set(first_ + done_, folio->mfn(), order, Type::ram_rw));
    ++backing_.backed[level_];
    done_ += order.frames();
    budget -= std::min<u64>(budget, 1);
  }
  return {};
}

Result<Backing> populate_ram(P2m& p2m, mm::Machine& machine, Gfn first, u64 count) {
  Population population(first, count);
  u64 budget = ~u64{0};
  if (const Result<void> done = population.some(p2m, machine, budget); !done) {
    // Every leaf of the part that is done lies in it as a whole, so this needs no table and no folio to be cut.
    if (population.done() > 0 && !p2m.unmap_range(first, population.done())) arch::panic("p2m: what was just populated cannot be unmapped");
    return fail(done.error());
  }
  return population.backing();
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
