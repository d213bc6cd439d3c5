// SPDX-License-Identifier: Apache-2.0
// mm/: machine memory. One Frame of 16 bytes stands for every 4 KiB frame of RAM (F1). A folio, a naturally aligned run of
// 2^order frames, is described by the state word of its first frame alone; the words of the others say `none`. So a zeroed
// table means "no folio here", and big folios cost one word to make. Only mm/ touches these words.
#pragma once
#include <atomic>

#include "lib/address.hpp"

namespace octavo::mm {

inline constexpr Order k_max_order = k_order_1g;
inline constexpr unsigned k_orders = 19;

/// What a folio is used for.
enum class FrameKind : u8 {
  none,        ///< not the head of a folio
  free_clean,  ///< in the buddy, known to be zero
  free_dirty,  ///< in the buddy, to be zeroed before anybody gets it (F4)
  hypervisor,  ///< the hypervisor's own
  guest,       ///< memory of the owner
  table,       ///< a translation table of the owner
  pod_cache,   ///< zero, owned, on a list of the owner's populate-on-demand cache
  count_,
};
inline constexpr unsigned k_frame_kinds = static_cast<unsigned>(FrameKind::count_);

/// The state word: | owner 16 | flags 2 | kind 4 | order 5 | type count 15 | references 22 |. A value; changes go through
/// compare-and-exchange on the whole word, so no two fields can ever be seen from different moments.
class FrameState {
 public:
  static constexpr u32 k_max_references = (1u << 22) - 1;
  static constexpr u32 k_max_types = (1u << 15) - 1;

  constexpr FrameState() = default;
  constexpr explicit FrameState(u64 raw) : raw_(raw) {}
  constexpr FrameState(DomainId owner, FrameKind kind, Order order, u32 references)
      : raw_(u64{static_cast<u16>(owner)} << 48 | u64{static_cast<u8>(kind)} << 42 | u64{order.value()} << 37 | references) {}

  [[nodiscard]] constexpr u64 raw() const { return raw_; }
  [[nodiscard]] constexpr u32 references() const { return static_cast<u32>(raw_ & k_max_references); }
  [[nodiscard]] constexpr u32 types() const { return static_cast<u32>(raw_ >> 22 & k_max_types); }
  [[nodiscard]] constexpr Order order() const { return Order{static_cast<unsigned>(raw_ >> 37 & 31)}; }
  [[nodiscard]] constexpr FrameKind kind() const { return static_cast<FrameKind>(raw_ >> 42 & 15); }
  [[nodiscard]] constexpr DomainId owner() const { return static_cast<DomainId>(raw_ >> 48); }

  [[nodiscard]] constexpr bool is_head() const { return kind() != FrameKind::none; }
  /// The same word with other references; the caller knows that n fits.
  [[nodiscard]] constexpr FrameState with_references(u32 n) const {
    return FrameState{(raw_ & ~u64{k_max_references}) | n};
  }
  constexpr bool operator==(const FrameState&) const = default;

 private:
  u64 raw_ = 0;
};

inline constexpr u32 k_no_frame = ~u32{0};

/// One frame's record. The links belong to whoever holds the folio: the buddy's lists, a pool's, a cache's.
struct Frame {
  std::atomic<u64> word{0};
  u32 next = 0;
  u32 previous = 0;

  [[nodiscard]] FrameState state() const { return FrameState{word.load(std::memory_order_acquire)}; }
  void set_state(FrameState state) { word.store(state.raw(), std::memory_order_release); }
  /// On failure `expected` is what was there.
  bool change_state(FrameState& expected, FrameState to) {
    u64 raw = expected.raw();
    const bool done = word.compare_exchange_weak(raw, to.raw(), std::memory_order_acq_rel, std::memory_order_acquire);
    if (!done) expected = FrameState{raw};
    return done;
  }
};
static_assert(sizeof(Frame) == 16 && std::atomic<u64>::is_always_lock_free);
}  // namespace octavo::mm
