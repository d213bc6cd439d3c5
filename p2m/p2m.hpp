// SPDX-License-Identifier: Apache-2.0
// p2m/: the only truth about a domain's guest-physical memory; its tables *are* the NPT or EPT that the hardware walks. Each
// change is planned (may fail, nothing has happened), committed (cannot fail), gathered (flushed) and freed. A leaf of memory holds
// one reference on its folio for every frame that it maps (P11), so splitting and promoting leave the counts alone.
#pragma once
#include <bit>
#include <initializer_list>

#include "lib/lock.hpp"
#include "mm/gather.hpp"
#include "p2m/format.hpp"
#include "p2m/table.hpp"

namespace octavo::p2m {

/// A set of leaf orders out of {0, 9, 18}. 4K is always in it; a p2m takes 1G only together with 2M.
class OrderSet {
 public:
  constexpr OrderSet(std::initializer_list<Order> orders) {
    for (const Order order : orders) bits_ |= 1u << level_of_order(order);
  }
  [[nodiscard]] constexpr bool has(Order order) const { return order <= k_order_1g && order.value() % 9 == 0 && (bits_ >> level_of_order(order) & 1) != 0; }
  [[nodiscard]] constexpr unsigned highest_level() const { return static_cast<unsigned>(std::bit_width(bits_)) - 1; }
  /// The largest order in the set at which `alignment` is aligned and that `count` frames can hold.
  [[nodiscard]] constexpr Order largest(u64 alignment, u64 count) const {
    for (const Order order : {k_order_1g, k_order_2m}) {
      if (has(order) && (alignment & (order.frames() - 1)) == 0 && count >= order.frames()) return order;
    }
    return k_order_4k;
  }

 private:
  u32 bits_ = 1;
};
inline constexpr OrderSet k_all_orders{k_order_4k, k_order_2m, k_order_1g};

enum class Paging : u8 { npt, ept };

struct Configuration {
  DomainId domain{};
  Paging paging = Paging::npt;
  OrderSet orders = k_all_orders;       ///< as the processor and the domain allow
  arch::TlbTag tag = arch::TlbTag::none;
  u64 table_frames = 0;                 ///< the pool's size, see table_frames_for()
  unsigned levels = 4;
  bool has_dirty_bits = true;           ///< false: EPT without A and D; then all memory counts as dirty
  Mfn machine_limit{u64{1} << 40};      ///< 2^(MAXPHYADDR - 12)
};

/// Is told which guest frames may have changed, after the entries are unlinked and before anything is flushed or freed.
/// Called under the p2m's lock.
class Listener {
 public:
  virtual void unlinked(Gfn first, u64 count) = 0;

 protected:
  ~Listener() = default;
};

/// Who wants the memory that a move leaves behind. Called under the p2m's lock.
class FolioSink {
 public:
  virtual void take(mm::Folio folio) = 0;

 protected:
  ~FolioSink() = default;
};

/// What lies at one gfn.
struct Translation {
  Mfn mfn{};          ///< of this very gfn; 0 where nothing is mapped
  Type type = Type::invalid;
  Access access{};
  Order order{};      ///< of the leaf or of the hole
  bool accessed = false;
  bool dirty = false;
  bool written = false;  ///< the hypervisor or a harvest says that it was written since it was populated (D5)
};

/// Memory that was taken out of the p2m, with all references that its leaf had.
struct Taken {
  mm::Folio folio;
  Type type = Type::invalid;
  bool dirty = false;
  bool written = false;
};

enum class SplitCause : u8 { set, unmap, change_type, take_out, count_ };
inline constexpr unsigned k_split_causes = static_cast<unsigned>(SplitCause::count_);
inline constexpr unsigned k_leaf_levels = k_max_leaf_level + 1;

struct Statistics {
  u64 leaves[k_leaf_levels][k_types] = {};  ///< entries by level and type; `invalid` is not counted
  u64 splits[k_split_causes] = {};
  u64 promotions[k_leaf_levels] = {};        ///< by the level of the new leaf
  u64 copied[k_leaf_levels] = {};            ///< of these, by copying
  u64 collapses = 0;                         ///< tables that had become one hole
  u64 push_downs = 0;                        ///< tables into which a pending type was pushed
  u64 frames_in_transit = 0;
  u64 flushes = 0;
  mm::TablePool::Statistics tables{};
  /// Frames of memory in leaves of that level.
  [[nodiscard]] u64 memory_frames(unsigned level) const {
    u64 sum = 0;
    for (const Type type : {Type::ram_rw, Type::ram_ro, Type::log_dirty}) sum += leaves[level][static_cast<usize>(type)];
    return sum << order_of_level(level).value();
  }
};

/// Where 512 leaves may have become worth one.
struct Candidate {
  Gfn gfn{};
  Order order{};
};

/// What an audit found (P14).
struct AuditReport {
  enum class Finding : u8 { none, unsound_entry, order_not_allowed, wrong_owner, missing_references, wrong_counts, wrong_tables };
  u64 findings = 0;
  Finding first = Finding::none;
  Gfn first_gfn{};
  u64 tables = 0;                            ///< reached
  u64 mapped_frames = 0;                     ///< of the domain's memory
  bool sums_compared = false;                ///< nothing changed meanwhile, so leaves and tables were compared with the statistics
  u64 leaves[k_leaf_levels][k_types] = {};
  [[nodiscard]] bool clean() const { return findings == 0; }
};

/// An audit in pieces.
struct Audit {
  Gfn next{0};      ///< all below has been looked at
  u64 changes = 0;
  AuditReport report;
};

class P2m final : private mm::Gather::Client {
 public:
  P2m() : gather_(pool_, users_, *this) {}
  ~P2m() { destroy(); }
  P2m(const P2m&) = delete;
  P2m& operator=(const P2m&) = delete;

  /// Reserves the pool and makes the root. out_of_memory; invalid_argument for a configuration that makes no sense.
  [[nodiscard]] Result<void> initialize(mm::Machine& machine, const Configuration& configuration);
  /// So many more tables for the pool, for a configuration that had not all of them at once. out_of_memory: nothing has changed.
  [[nodiscard]] Result<void> reserve_tables(u64 frames) { return pool_.reserve(*machine_, configuration_.domain, frames); }
  /// Unlinks everything, flushes, returns every frame and table. May be called twice. No vCPU may be in the guest.
  void destroy() { while (!destroy_some(~u64{0})) {} }
  /// The same in pieces: looks at no more than about `budget` entries (one table of 512 at least) or tables of the pool; true when all is done.
  [[nodiscard]] bool destroy_some(u64 budget);

  /// What NCR3 or EPTP points to.
  [[nodiscard]] Hpa root() const { return to_hpa(root_); }
  [[nodiscard]] const Configuration& configuration() const { return configuration_; }
  [[nodiscard]] Gfn limit() const { return Gfn{order_of_level(configuration_.levels).frames()}; }
  /// enter(cpu) is due before a CPU enters the guest, leave(cpu) when it is back and before it takes a lock.
  [[nodiscard]] mm::TagUsers& users() { return users_; }
  void set_listener(Listener* listener) { listener_ = listener; }

  /// What is at gfn; never changes anything. Lock-free. Beyond limit(): a hole of order 0. The frame is only sure to stay the
  /// guest's inside an mm::ReadSection that began before the call, or with a reference on it. A type that is pending above is told already.
  [[nodiscard]] Translation lookup(Gfn gfn) const;

  /// Maps [gfn, gfn + count) to [mfn, mfn + count) with the largest leaves that both alignments, the allowed orders and the
  /// folios permit; takes the references. All or nothing. `type` is memory or mmio_direct.
  /// Errors: invalid_argument, out_of_range; exists: a type there that may not become this one; not_found, not_owner, overflow: the
  /// frames (see Machine::reference); busy: a folio that would lose a part is referenced by others; no_table_memory.
  [[nodiscard]] Result<void> set_range(Gfn gfn, Mfn mfn, u64 count, Type type);
  /// One leaf of exactly that order. misaligned, unsupported (order), otherwise as set_range.
  [[nodiscard]] Result<void> set(Gfn gfn, Mfn mfn, Order order, Type type);
  /// Makes [gfn, gfn + count) a hole of a type that maps nothing (invalid, pod, mmio_emulated). Memory that was there loses its
  /// references, and is freed with the last. Errors as set_range.
  [[nodiscard]] Result<void> set_hole(Gfn gfn, u64 count, Type type);
  [[nodiscard]] Result<void> unmap_range(Gfn gfn, u64 count) { return set_hole(gfn, count, Type::invalid); }
  /// The same in steps of at most one leaf table or one larger leaf or hole, of a hole what 512 of the largest allowed entries cover; after about `budget` entries Error::again. Each step is all
  /// or nothing, so on *every* error `gfn` and `count` say exactly what is left: all before the new gfn is the hole, nothing from
  /// there on has changed. Errors as set_hole, of the step at gfn; so one beyond the first step leaves the earlier ones done, and
  /// a folio that is cut by a step must not be referenced from elsewhere (busy), even where the whole range at once would do.
  [[nodiscard]] Result<void> set_hole_some(Gfn& gfn, u64& count, Type type, u64 budget);

  /// Every entry of memory type `from` in the range becomes `to`; leaves that the range covers are not split, others in
  /// the range are left alone. Between ram_rw and log_dirty it is lazy (P8): tables that the range covers are only marked, so
  /// the whole domain costs one pass over the root. invalid_argument, out_of_range, busy (a move), no_table_memory.
  [[nodiscard]] Result<void> change_type(Gfn gfn, u64 count, Type from, Type to);
  /// Writes the types that are pending above gfn's entry down to it. For a fault that lookup() says should not be.
  void push_down(Gfn gfn);
  /// Notes that the hypervisor is about to write [gfn, gfn + count): sweeps look at such memory before they call it unused (D5).
  void mark_written(Gfn gfn, u64 count);

  /// Takes the memory at [gfn, gfn + 2^order) out of one leaf (cut if larger), leaves a hole of that type, flushes. Nobody can reach
  /// it through the guest afterwards; the caller has its references. not_found: no such leaf; otherwise as set_range.
  [[nodiscard]] Result<Taken> take_out(Gfn gfn, Order order, Type hole);

  /// 512 leaves below the entry for gfn become one of `order`, in place (P7). not_found: they are not 512 leaves of memory of one
  /// type; not_permitted: log_dirty; misaligned: the frames are not contiguous (see begin_move); busy: a frame is referred to
  /// from elsewhere; unsupported: order.
  [[nodiscard]] Result<void> promote(Gfn gfn, Order order);
  /// The same by copying into `target`, a folio of the domain of that order, which is taken on success only: accesses fault and wait until continue_move() has
  /// copied all. One move at a time (busy).
  [[nodiscard]] Result<void> begin_move(Gfn gfn, Order order, mm::Folio& target);
  /// Copies up to `budget` frames; Error::again until the new leaf is linked; not_found when there is no move. The old folios go to
  /// `sink`, else they lose their references.
  [[nodiscard]] Result<void> continue_move(u64 budget, FolioSink* sink = nullptr);
  /// Back to where it was before begin_move. The target, written to in part, goes to the sink, or to the machine.
  void abort_move(FolioSink* sink = nullptr);
  [[nodiscard]] u64 frames_in_transit() const;
  /// What begin_move() was told, as long as that move is under way.
  [[nodiscard]] std::optional<Candidate> move_under_way() const;
  /// A table whose 512 entries have all become leaves of memory, by the tables' own counts (P7); each is told once. When more came together
  /// than are noted, the tables are gone through from here on instead, at most `budget` of them a call: then `again` says that there may be more.
  [[nodiscard]] Result<Candidate> next_candidate(u64 budget);
  /// What next_candidate() has told before is to be told again: there is memory for copying now, say.
  void look_again();

  [[nodiscard]] AuditReport audit() const;
  /// The same in pieces of about `budget` entries (a table of 512 at least); true when all is done.
  [[nodiscard]] bool audit_some(Audit& audit, u64 budget) const;
  [[nodiscard]] Statistics statistics() const;

 private:
  /// Where the walk for a gfn ended: an entry at the wanted level, or a leaf or hole above it.
  struct Slot {
    Table table;
    unsigned index;
    unsigned level;
    u64 entry;
    Type pending;  ///< what the entries above say about all memory below them
  };
  /// Counts of one table's entries, kept in its frame's record.
  struct Counts {
    u32 filled : 10;  ///< anything but `invalid`
    u32 memory : 10;  ///< leaves of memory
    u32 pod : 10;
  };
  struct Move {
    Gfn gfn{};
    Order order{};
    Mfn table{};
    mm::Folio target{};
    u64 done = 0;  ///< frames
    Type type = Type::invalid;
  };
  /// The tables that a plan needs. Pieces come in ascending order, so the last key at each level tells whether a table has been counted.
  struct Plan {
    u64 tables = 0;
    u64 last_key[5] = {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}};
  };

  void before_flush() override;

  [[nodiscard]] static unsigned index(Gfn gfn, unsigned level) {
    return static_cast<unsigned>(gfn.value() >> 9 * level & (k_entries - 1));
  }
  [[nodiscard]] Slot find(Gfn gfn, unsigned level) const;
  [[nodiscard]] Order mapping_order(Gfn gfn, Mfn mfn, u64 count, Type type) const;
  [[nodiscard]] Result<void> check_range(Gfn gfn, u64 count) const;
  [[nodiscard]] bool may_become(Gfn gfn, u64 count, Type type) const;
  [[nodiscard]] Result<void> check_plan(const Plan& plan) const;
  [[nodiscard]] Result<void> check_device_memory(Mfn mfn, Order order) const;
  void plan_piece(Plan& plan, Gfn gfn, unsigned level) const;
  /// f(Gfn, unsigned level, u64 entry) for each leaf and hole that [gfn, gfn + count) touches.
  void each_entry(Gfn gfn, u64 count, auto&& f) const;
  [[nodiscard]] Result<void> each_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement, auto&& f) const;
  [[nodiscard]] Result<bool> check_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement) const;
  [[nodiscard]] Result<void> carve_partial(Gfn gfn, u64 count, std::optional<Mfn> replacement);
  void cut_leaves(Gfn gfn, u64 count, SplitCause cause);
  [[nodiscard]] u64 references_from_tables(u64 gfn, Mfn mfn, u64 frames) const;

  Slot descend(Gfn gfn, unsigned level, SplitCause cause);
  void split(const Slot& slot, SplitCause cause);
  u64 replace(const Slot& slot, u64 entry);
  void put_entry(Gfn gfn, unsigned level, u64 entry, SplitCause cause);
  void retype(const Slot& slot, Gfn gfn, Type to);
  void relink(const Slot& slot, Type pending);
  void push_down_table(const Slot& slot);
  void retype_table(Mfn table, unsigned level, Gfn base, Gfn first, Gfn end, Type from, Type to);
  void collapse(Gfn gfn, unsigned level);
  void release(Gfn gfn, unsigned level, u64 entry);
  void release_tables(Gfn gfn, unsigned level, Mfn table);
  [[nodiscard]] Result<Slot> table_to_promote(Gfn gfn, Order order);
  [[nodiscard]] bool is_exclusive(const Table& below, unsigned level) const;
  void unlink_for_promotion(const Slot& slot, Gfn gfn);
  [[nodiscard]] Leaf harvest(const Table& below, Type type) const;
  void account(const Table& table, u64 entry, unsigned level, i64 n);
  [[nodiscard]] Counts counts_of(Mfn table) const;
  void note_changed(Gfn gfn, u64 count);
  void note_candidate(const Slot& slot, Gfn gfn);
  void audit_table(AuditReport& report, Mfn table, unsigned level, Gfn base) const;
  [[nodiscard]] static Type with_pending(Type pending, Type type) {
    return pending != Type::invalid && (type == Type::ram_rw || type == Type::log_dirty) ? pending : type;
  }
  [[nodiscard]] bool is_own_memory(u64 entry, unsigned level) const {
    return !format_->is_table(entry, level) && is_ram(Format::type_of(entry));
  }

  mutable SpinLock<LockRank::p2m> lock_;
  mm::Machine* machine_ = nullptr;
  const Format* format_ = &k_npt;
  Configuration configuration_{};
  Mfn root_{};
  mm::TablePool pool_;
  mm::TagUsers users_;
  mm::Gather gather_;
  Listener* listener_ = nullptr;
  Gfn changed_first_{};
  Gfn changed_end_{};
  Gfn teardown_{};  ///< everything below is gone already
  bool moving_ = false;
  Move move_{};
  std::array<Candidate, 32> candidates_{};  ///< a ring
  u32 candidate_first_ = 0, candidate_count_ = 0;
  Gfn recount_ = Gfn{~u64{0}};  ///< where going through the tables has come to; beyond limit(): nowhere
  Statistics statistics_{};
  u64 changes_ = 0;  ///< of any entry's kind
};

/// The tables that the all-4K worst case of these guest ranges needs (F7), the root included. Ranges are in frames, ascending and disjoint.
struct FrameRange {
  Gfn first;
  u64 count = 0;
};
[[nodiscard]] u64 table_frames_for(std::span<const FrameRange> ranges, unsigned levels = 4);
}  // namespace octavo::p2m
