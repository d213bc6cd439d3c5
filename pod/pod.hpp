// SPDX-License-Identifier: Apache-2.0
// pod/: populate on demand. A guest believes in `maximum` frames and gets `target` of them: the builder marks its memory as
// entries, a fault fills an entry from the domain's cache, memory that is still zero can be taken back. What is claimed
// for the domain never exceeds its target plus what is pending to be returned (D8). Entries and populated frames are what the p2m
// counts, never a second account beside it.
#pragma once
#include <optional>

#include "lib/lock.hpp"
#include "mm/claim.hpp"
#include "p2m/p2m.hpp"
#include "pod/cache.hpp"

namespace octavo::pod {

/// One consistent snapshot, in frames (D8).
struct Accounts {
  u64 populated = 0;
  std::array<u64, 3> cache{};  ///< by the leaf level at which it can be used: 4K, 2M, 1G
  u64 entries = 0;             ///< marked, not populated
  u64 target = 0;
  u64 pending = 0;             ///< populated beyond the target, returned as the guest balloons out
  u64 in_transit = 0;          ///< the second copy of what is being promoted, and what is to be zeroed before the cache can have it
  u64 maximum = 0;
  [[nodiscard]] u64 cached() const { return cache[0] + cache[1] + cache[2]; }
  [[nodiscard]] i64 outstanding() const { return static_cast<i64>(entries) - static_cast<i64>(cached()); }
  [[nodiscard]] u64 held() const { return populated + cached() + in_transit; }
  [[nodiscard]] bool hold() const { return held() <= target + pending; }
};

struct Statistics {
  u64 populates[p2m::k_leaf_levels] = {};      ///< faults served, by the order of the leaf
  u64 fallbacks = 0;                           ///< a larger entry was served by a smaller folio
  u64 searches = 0;
  u64 reclaimed_unwritten = 0;                 ///< frames that came back because nobody ever wrote them
  u64 reclaimed_zero = 0;                      ///< frames that came back because they were found zero
  u64 restored = 0;                            ///< leaves that were taken for a full look and put back
  u64 out_of_memory = 0;
};

class Pod final : private p2m::FolioSink {
 public:
  explicit Pod(p2m::P2m& p2m) : p2m_(p2m) {}
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  /// Claims `target` frames for the p2m's domain: they are in the cache when it returns. out_of_memory.
  [[nodiscard]] Result<void> initialize(mm::Machine& machine, u64 target, u64 maximum);

  /// Marks [gfn, gfn + count) as populated on demand, with the largest entries that fit (D2). Only holes and entries may be
  /// overwritten (exists).
  [[nodiscard]] Result<void> add_entries(Gfn gfn, u64 count);

  /// Brings memory in at an entry, as large as the entry and the cache permit; what is not an entry (any more) is left alone.
  /// Bounded (D3). again: the cache is empty and the look for zero memory is not over; the guest just faults again. out_of_memory: a whole
  /// look at each order has found nothing; the vCPU has to wait for a higher target (D7).
  [[nodiscard]] Result<void> populate(Gfn gfn);

  struct Reply {
    u64 added = 0;
    u64 freed = 0;
    u64 pending = 0;
  };
  /// Sets the target (D4). Growing takes the difference from the machine, 1G first; out_of_memory: the target is what it was. Shrinking gives the cache
  /// back at once; the rest is pending. invalid_argument beyond the maximum. At most about `budget` frames are zeroed or folios given back a call; again: call
  /// again with the same target.
  [[nodiscard]] Result<Reply> set_target(u64 frames, u64 budget = ~u64{0});

  /// The guest gives up [gfn, gfn + count): entries vanish, memory goes to the machine as far as something is pending and to the cache
  /// otherwise. Returns how many frames were handled; stops early at what is neither, or is pinned, or when `budget` pieces are done.
  [[nodiscard]] Result<u64> decrease(Gfn gfn, u64 count, u64 budget = ~u64{0});

  /// Takes back memory that is zero, at most about `budget` looks (one for a leaf, one more for each frame that is read through), and
  /// remembers where it stopped (D5). Returns how many frames came back.
  u64 sweep(Order order, u64 budget);

  /// The guest wants [gfn, gfn + count) back: holes become entries, entries stay. Returns how many frames were handled; stops early at what is
  /// neither, or when `budget` pieces are done: an entry each, or of a hole what a table of the largest allowed entries can take the place of.
  [[nodiscard]] Result<u64> increase(Gfn gfn, u64 count, u64 budget = ~u64{0});

  /// Promotes what lies at gfn to `order`: in place, else by copying into a folio from the cache, which gets the old frames, or one that the
  /// machine lends for the time (pending is higher for as long). Error::again
  /// until a copy of at most `budget` frames a call is complete; busy: that of something else is under way. Otherwise as P2m::promote and out_of_memory.
  [[nodiscard]] Result<void> promote(Gfn gfn, Order order, u64 budget);

  /// Copies up to `budget` frames of a promotion that is under way, if one is.
  void advance(u64 budget);
  /// Gives it up: the memory is where it was, and what it was to be copied into goes back where it came from.
  void abort_promotion();
  /// For a CPU that has nothing else to do: about `budget` frames, tables or looks of what is worth it: promotions, and zero memory while
  /// something is pending. False when there is nothing.
  [[nodiscard]] bool tidy(u64 budget);

  [[nodiscard]] Accounts accounts() const;
  [[nodiscard]] Statistics statistics() const;
  /// Returns the cache to the machine. The p2m is torn down by its owner.
  void destroy() { while (!destroy_some(~u64{0})) {} }
  /// The same, at most `budget` folios a call; true when all is done.
  [[nodiscard]] bool destroy_some(u64 budget);

 private:
  /// A look for zero memory, one round for each order, the largest first: which one is under way, and how many frames of it are left.
  struct Search {
    unsigned level = p2m::k_max_leaf_level;
    u64 left = 0;
    bool begun = false;
  };

  /// A target that is being set.
  struct Change {
    bool under_way = false;
    bool refused = false;  ///< the machine has not enough; what was taken goes back
    u64 goal = 0;
    u64 old_target = 0;
    Reply reply;
    mm::Claim claim;
  };

  [[nodiscard]] Accounts accounts_locked() const;
  [[nodiscard]] Result<void> grow(u64 frames, u64& budget);
  [[nodiscard]] Result<mm::Folio> folio_from_cache(Order limit);
  [[nodiscard]] Result<mm::Folio> folio_for(Order limit);
  u64 sweep_locked(Order order, u64 budget);
  u64 sweep_step(Order order, u64& budget);
  [[nodiscard]] bool search_step(Search& search, u64& budget);
  /// Looks at [gfn, gfn + 2^order); true when it went into the cache.
  bool try_reclaim(Gfn gfn, Order order, const p2m::Translation& there, u64& budget);
  [[nodiscard]] Result<mm::Folio> folio_to_copy_into(Order order);
  [[nodiscard]] Result<void> promote_locked(Gfn gfn, Order order, u64 budget);
  void file(mm::Folio folio, bool is_zero);
  void take(mm::Folio folio) override;
  void put_soiled(mm::Folio folio);
  [[nodiscard]] mm::Folio take_soiled();
  bool clean_some(u64& budget);

  mutable SpinLock<LockRank::pod> lock_;
  p2m::P2m& p2m_;
  mm::Machine* machine_ = nullptr;
  Cache cache_;
  u64 target_ = 0;
  u64 pending_ = 0;
  u64 maximum_ = 0;
  Change change_;
  std::array<Gfn, p2m::k_leaf_levels> cursors_{};  ///< one for each order's sweep
  u32 soiled_ = mm::k_no_frame;            ///< folios to be zeroed before the cache can have them; chained by Frame::next
  u64 soiled_frames_ = 0;
  u64 soiled_done_ = 0;                    ///< frames of the first that are zero already
  Search search_{};                        ///< of faults that found the cache empty
  bool starved_[p2m::k_leaf_levels] = {};  ///< a promotion to that level wanted for a folio
  std::optional<Search> idle_;             ///< tidy()'s own look, when something is pending
  Statistics statistics_{};
};
}  // namespace octavo::pod
