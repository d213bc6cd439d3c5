// SPDX-License-Identifier: Apache-2.0
// Memory that comes on demand, goes by decrease and comes back by increase: what is in it, how large its pages are, and that pages which
// were cut become large again while the guest sleeps. With 1G entries (a maximum of 6G, a target of 3G) it is about those, else about 2M.
#include "hypercall.hpp"
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"
#include "timer.hpp"
#include "x86.hpp"

namespace {
constexpr u64 k_2m = 512, k_1g = 512 * 512;  // frames

struct Leaves {
  u64 in_4k = hypercall::info(OCTAVO_MEMORY_IN_4K), in_2m = hypercall::info(OCTAVO_MEMORY_IN_2M), in_1g = hypercall::info(OCTAVO_MEMORY_IN_1G);
};
Leaves show(const char* when) {
  const Leaves now;
  print("# leaves ", when, ": 4K ", now.in_4k, ", 2M ", now.in_2m / k_2m, ", 1G ", now.in_1g / k_1g, "\n");
  return now;
}

void map_high() {
  for (u64 address = 4 * k_gib; address < machine::ram_end(); address += 2 * k_mib) paging::map(address, address, 2);
}
volatile u64& cell(u64 gfn) { return *at<u64>(gfn << 12); }
u64 value_of(u64 gfn) { return gfn * 0x9E3779B97F4A7C15 | 1; }

/// One cell of every 37th frame of the range, but for those given up.
template <typename F>
void each_cell(u64 first, u64 count, F&& f) {
  for (u64 gfn = first; gfn < first + count; gfn += 37) f(gfn);
}
bool as_written(u64 first, u64 count) {
  bool same = true;
  each_cell(first, count, [&](u64 gfn) { same = same && cell(gfn) == value_of(gfn); });
  return same;
}

/// Sleeps until done() or for long enough.
template <typename F>
bool sleep_until(F&& done) {
  for (unsigned ticks = 0; ticks < 20'000; ++ticks) {
    if (done()) return true;
    pit::one_shot(1000);
    x86::sti_hlt_cli();
  }
  return done();
}

/// Cuts the leaf of `whole` frames at `first` by giving up one frame, has it back, and waits for the leaf to be whole again.
void cut_and_heal(u64 first, u64 whole) {
  const auto in_whole = [=] { return hypercall::info(whole == k_1g ? OCTAVO_MEMORY_IN_1G : OCTAVO_MEMORY_IN_2M); };
  each_cell(first, whole, [](u64 gfn) { cell(gfn) = value_of(gfn); });
  const Leaves before = show("before");
  const u64 gone = first + 7;
  tap::equal(u64(hypercall::on_range(OCTAVO_HC_MEMORY_DECREASE, gone, 1)), 0, "one frame in the middle is given up");
  const Leaves cut = show("with one frame gone");
  if (whole == k_1g) {
    tap::equal(before.in_1g - cut.in_1g, k_1g, "its 1G leaf is gone");
    tap::equal(cut.in_2m - before.in_2m, 511 * k_2m, "511 leaves of 2M are in its place");
  } else {
    tap::equal(before.in_2m - cut.in_2m, k_2m, "its 2M leaf is gone");
  }
  tap::equal(cut.in_4k - before.in_4k, 511, "and 511 of 4K");
  tap::check(as_written(first, whole), "what is left holds what was written");
  tap::equal(u64(hypercall::on_range(OCTAVO_HC_MEMORY_INCREASE, gone, 1)), 0, "the frame is wanted back");
  tap::equal(cell(gone), 0, "it comes back zero");
  cell(gone) = 5;
  tap::check(sleep_until([=] { return in_whole() == (whole == k_1g ? before.in_1g : before.in_2m); }), "while the guest sleeps the leaf becomes whole");
  show("after");
  tap::check(as_written(first, whole) && cell(gone) == 5, "nothing was lost by that");
}

/// Gives up and takes back the frames of a 2M leaf in an order that leaves them scattered.
void scatter_and_heal(u64 first) {
  each_cell(first, k_2m, [](u64 gfn) { cell(gfn) = value_of(gfn); });
  const Leaves large;
  for (u64 i = 0; i < k_2m; i += 2) hypercall::on_range(OCTAVO_HC_MEMORY_DECREASE, first + i, 1);
  for (u64 i = 0; i < k_2m; i += 2) hypercall::on_range(OCTAVO_HC_MEMORY_INCREASE, first + i, 1);
  bool zero = true;
  for (u64 i = 0; i < k_2m; i += 2) {
    const u64 gfn = first + (i * 37 + 100) % k_2m;
    zero = zero && cell(gfn) == 0;
    cell(gfn) = value_of(gfn);
  }
  tap::check(zero, "256 frames that were given up come back zero");
  show("scattered");
  tap::check(sleep_until([=] { return hypercall::info(OCTAVO_MEMORY_IN_1G) == large.in_1g && hypercall::info(OCTAVO_MEMORY_IN_2M) == large.in_2m; }),
             "while the guest sleeps the share of large leaves is what it was");
  show("gathered");
  bool same = true;
  for (u64 gfn = first; gfn < first + k_2m; gfn += 2) same = same && cell(gfn) == value_of(gfn);
  tap::check(same && as_written(first, k_2m), "and all of it holds what was written");
}

void wrong_calls() {
  using hypercall::call;
  const u64 end = machine::ram_end() >> 12;
  const auto refused = [](i64 got, i64 wanted, const char* name) { tap::equal(u64(got), u64(wanted), name); };
  refused(call(OCTAVO_HC_MEMORY_DECREASE, end, 1).result, -OCTAVO_ERANGE, "beyond the memory map: -ERANGE");
  refused(call(OCTAVO_HC_MEMORY_DECREASE, end - 1, 2).result, -OCTAVO_ERANGE, "across its end: -ERANGE");
  refused(call(OCTAVO_HC_MEMORY_DECREASE, 1, ~u64{0}).result, -OCTAVO_ERANGE, "a count that wraps: -ERANGE");
  refused(call(OCTAVO_HC_MEMORY_INCREASE, ~u64{0}, 2).result, -OCTAVO_ERANGE, "a gfn that wraps: -ERANGE");
  refused(call(OCTAVO_HC_MEMORY_DECREASE, 1, 1, 2).result, -OCTAVO_EINVALID, "a cursor beyond the count: -EINVALID");
  refused(call(OCTAVO_HC_MEMORY_INCREASE, reinterpret_cast<u64>(&wrong_calls) >> 12, 1).result, -OCTAVO_EEXIST, "memory that was not given up: -EEXIST");
  refused(call(OCTAVO_HC_MEMORY_INFO, 1000).result, -OCTAVO_EINVALID, "no such account: -EINVALID");
  refused(call(OCTAVO_HC_MEMORY_DECREASE, 1, 0).result, 0, "no frames at all: done");
}
}  // namespace

void guest_main() {
  if (machine::bare()) return tap::skip("memory on demand", "not on Octavo");
  map_high();
  pic::initialize();
  set_handler(pic::k_base, [](Frame&) { pic::end_of_interrupt(0); });
  pic::enable_only(1);
  const u64 target = hypercall::info(OCTAVO_MEMORY_TARGET), maximum = hypercall::info(OCTAVO_MEMORY_MAXIMUM);
  print("# target ", target >> 8, " MiB of ", maximum >> 8, " MiB\n");
  tap::check(target != 0 && target <= maximum, "a target not above the maximum");
  tap::equal(hypercall::info(OCTAVO_MEMORY_POPULATED) + hypercall::info(OCTAVO_MEMORY_ENTRIES), maximum, "all memory is populated or will be on demand");
  const bool on_demand = target < maximum;
  const bool giants = machine::ram_end() > 6 * k_gib;
  const u64 first = giants ? 4 * k_1g : 32 * k_mib >> 12, whole = giants ? k_1g : k_2m;
  if (on_demand) {
    const u64 populated = hypercall::info(OCTAVO_MEMORY_POPULATED);
    tap::equal(cell(first + 1000 % whole), 0, "the first touch finds zero");
    tap::equal(hypercall::info(OCTAVO_MEMORY_POPULATED) - populated, whole, "and brings in a whole leaf");
  }
  cut_and_heal(first, whole);
  scatter_and_heal(first + (giants ? k_2m : 0));
  wrong_calls();
}
