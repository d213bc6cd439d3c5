// SPDX-License-Identifier: Apache-2.0
// The machine's memory: a buddy allocator of orders 0..18 (F2) and the reference counts of folios (F3). A Folio is one counted
// reference and the only thing that the allocator hands out; when the last reference is gone the folio goes back, dirty, and
// is zeroed before anyone else gets it (F4). References that page tables hold are dropped by mm::Gather only, after the flush.
#pragma once
#include <array>
#include <concepts>
#include <span>
#include <utility>

#include "lib/lock.hpp"
#include "mm/buddy.hpp"

namespace octavo::mm {

class Machine;

/// What the frames that are asked for must hold.
enum class Contents : u8 { zero, any };

/// A reference on a folio, by value; move-only. Dropping it may free the folio.
class [[nodiscard]] Folio {
 public:
  Folio() = default;
  /// Takes charge of `references` that keep() let go of.
  Folio(Machine& machine, Mfn mfn, Order order, u32 references = 1)
      : machine_(&machine), mfn_(mfn), references_(references), order_(order) {}
  Folio(Folio&& other) noexcept { swap(other); }
  Folio& operator=(Folio&& other) noexcept {
    Folio taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Folio() { reset(); }

  [[nodiscard]] Mfn mfn() const { return mfn_; }      ///< the first frame that was asked for
  [[nodiscard]] Order order() const { return order_; }  ///< what was asked for; the folio may be larger
  [[nodiscard]] u32 references() const { return references_; }
  explicit operator bool() const { return machine_ != nullptr; }
  void reset();
  /// The reference outlives the handle: it is now written down elsewhere (a table's entry, a pool's list).
  Mfn keep() && {
    machine_ = nullptr;
    return mfn_;
  }

 private:
  friend class Machine;
  void swap(Folio& other) {
    std::swap(machine_, other.machine_);
    std::swap(mfn_, other.mfn_);
    std::swap(references_, other.references_);
    std::swap(order_, other.order_);
  }
  Machine* machine_ = nullptr;
  Mfn mfn_{};
  u32 references_ = 0;
  Order order_{};
};

class Machine {
 public:
  struct Statistics {
    u64 total_frames = 0;                          ///< all that was ever donated
    u64 table_frames = 0;                          ///< the frame table's own size, outside of total_frames
    std::array<u64, k_orders> free_blocks{};       ///< by order
    std::array<u64, k_frame_kinds> frames{};       ///< by kind; the two free kinds add up to what free_blocks says
    [[nodiscard]] u64 free_frames() const {
      return frames[static_cast<usize>(FrameKind::free_clean)] + frames[static_cast<usize>(FrameKind::free_dirty)];
    }
  };

  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Makes the table for all_ram inside free_ram, where it breaks the fewest whole gigabytes, and donates the rest. Errors: as
  /// FrameTable::lay_out; out_of_memory when no free range can hold the table. `contents`: is the RAM known to be zero?
  [[nodiscard]] Result<void> initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram,
                                        Contents contents = Contents::any);
  /// Adds RAM that nobody uses any more (a boot module's). O(log). out_of_range: not RAM; exists: (partly) managed already.
  [[nodiscard]] Result<void> donate(Mfn first, u64 count, Contents contents = Contents::any);

  /// A folio of 2^order frames with one reference, from the smallest free run that serves. Zeroing happens outside the lock.
  /// out_of_memory, or invalid_argument beyond order 18.
  [[nodiscard]] Result<Folio> allocate(Order order, DomainId owner, FrameKind kind, Contents contents = Contents::zero);
  /// The same, clean rather than dirty, but not made zero: that is the caller's to do before anybody else sees it (F4).
  struct Allocation {
    Folio folio;
    bool is_zero = false;
  };
  [[nodiscard]] Result<Allocation> allocate_as_it_is(Order order, DomainId owner, FrameKind kind) { return take(order, owner, kind, true); }

  /// A reference for every frame of [mfn, mfn + 2^order), which must lie in one folio of that owner and kind. not_found: no
  /// folio there or not all of it; not_owner; busy: it is being freed or carved; overflow: the count is full.
  [[nodiscard]] Result<Folio> reference(Mfn mfn, Order order, DomainId owner, FrameKind kind);

  /// What is known about the folio that mfn lies in; a snapshot unless the caller holds a reference.
  struct FolioInfo {
    Mfn head;
    Order order;
    FrameKind kind;
    DomainId owner;
    u32 references;
  };
  [[nodiscard]] std::optional<FolioInfo> folio_at(Mfn mfn) const;

  /// Cuts folios out of the one that holds `first`, so that [first, first + 2^part) is one of its own (F3); the rest becomes
  /// the largest folios possible. `mapped(mfn, frames)` tells how many references belong to a run of frames, and their sum must
  /// be all references that there are, else busy: nothing changes. Runs with none are freed.
  [[nodiscard]] Result<void> carve(Mfn first, Order part, DomainId owner, auto&& mapped)
    requires std::invocable<decltype(mapped), Mfn, u64>
  {
    Frame* frame = table_.head_of(first);
    if (frame == nullptr) return fail(Error::not_found);
    const FrameState state = frame->state();
    const Mfn head = table_.mfn_of(*frame);
    if (state.owner() != owner) return fail(Error::not_owner);
    if (state.order() <= part) return {};
    if (mapped(head, state.order().frames()) != state.references()) return fail(Error::busy);
    OCTAVO_TRY(freeze(*frame, state));
    Mfn rest = head;
    for (unsigned order = state.order().value(); order-- > part.value();) {
      const u64 half = Order{order}.frames();
      const Mfn upper = rest + half;
      const bool first_in_upper = first >= upper;
      const Mfn cut = first_in_upper ? rest : upper;
      settle(cut, FrameState{owner, state.kind(), Order{order}, static_cast<u32>(mapped(cut, half))});
      if (first_in_upper) rest = upper;
    }
    settle(rest, FrameState{owner, state.kind(), part, static_cast<u32>(mapped(rest, part.frames()))});
    return {};
  }

  /// Makes one folio of the folios that fill [first, first + 2^order) when all of them are guest memory of `owner` and every frame is
  /// referred to exactly once; busy otherwise, and nothing changed. Bounded by the number of folios. Does nothing within one folio.
  [[nodiscard]] Result<void> join(Mfn first, Order order, DomainId owner);

  /// Changes what a folio is used for. The handle must hold every reference that there is (busy otherwise) and the folio must be
  /// exactly what it covers (misaligned otherwise); it holds one reference afterwards.
  [[nodiscard]] Result<void> convert(Folio& folio, FrameKind to);

  /// Does the handle hold every reference on its folio, and is the folio exactly what it covers?
  [[nodiscard]] bool is_exclusive(const Folio& folio) const {
    const std::optional<FolioInfo> info = folio_at(folio.mfn());
    return info && info->head == folio.mfn() && info->order == folio.order() && info->references == folio.references();
  }

  /// A handle for frames that a Buddy over this table has just handed out (their state is `none`): one reference, that owner, that kind,
  /// which must be the kind that the buddy's members had.
  [[nodiscard]] Folio adopt(Mfn mfn, Order order, DomainId owner, FrameKind kind) {
    table_.find(mfn)->set_state(FrameState{owner, kind, order, 1});
    return Folio{*this, mfn, order};
  }

  /// Would allocate(order) succeed at this moment?
  [[nodiscard]] bool can_allocate(Order order) const {
    LockGuard guard(lock_);
    return free_.can_take(order);
  }
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] const FrameTable& table() const { return table_; }

 private:
  friend class Folio;
  friend class Gather;

  /// Drops n references of the folio that holds mfn; frees it with the last.
  void drop(Mfn mfn, u32 n);
  Result<void> freeze(Frame& head, FrameState expected);
  void settle(Mfn mfn, FrameState state);
  void count(FrameKind kind, Order order, bool more);
  [[nodiscard]] Result<Allocation> take(Order order, DomainId owner, FrameKind kind, bool prefer_clean);

  mutable SpinLock<LockRank::frame_table> lock_;
  FrameTable table_;
  Buddy free_{DomainId::hypervisor, FrameKind::free_clean, FrameKind::free_dirty, 0};
  std::array<u64, k_frame_kinds> used_{};  ///< frames of the kinds that are not free
  u64 total_frames_ = 0;
};

/// The one machine of the hypervisor. Host tests make their own.
[[nodiscard]] Machine& machine();
/// machine().initialize(...), once, at boot.
[[nodiscard]] Result<void> initialize(std::span<const arch::MemoryRange> all_ram, std::span<const arch::MemoryRange> free_ram);
}  // namespace octavo::mm
