// SPDX-License-Identifier: Apache-2.0
// Buddy lists of orders 0..18 over the frame table: the machine's free memory, and each domain's populate-on-demand cache. The
// members of a Buddy are the folios whose state says its owner and one of its two kinds. O(log) per operation, never a scan;
// large runs stay whole as long as smaller ones serve. The caller has a lock.
#pragma once
#include <array>
#include <optional>

#include "mm/frame_table.hpp"

namespace octavo::mm {

class Buddy {
 public:
  /// `clean` and `dirty` may be the same kind. `references` is what a member's count says.
  constexpr Buddy(DomainId owner, FrameKind clean, FrameKind dirty, u32 references)
      : owner_(owner), clean_(clean), dirty_(dirty), references_(references) {}
  void attach(const FrameTable& table, DomainId owner) {
    table_ = &table;
    owner_ = owner;
  }

  /// Adds a folio and merges it with its buddies as far as they are members. A merged run is as clean as its worse half.
  void insert(Mfn mfn, Order order, FrameKind kind);

  struct Block {
    Mfn mfn;
    FrameKind kind;
  };
  /// Takes 2^order frames out of the smallest run that serves, preferring clean or dirty ones; its state is `none` then.
  [[nodiscard]] std::optional<Block> take(Order order, bool prefer_clean);
  [[nodiscard]] bool can_take(Order order) const { return order <= k_max_order && nonempty_ >> order.value() != 0; }
  /// The largest order not above `limit` that has a whole run on its list.
  [[nodiscard]] std::optional<Order> largest(Order limit) const;

  [[nodiscard]] const std::array<u64, k_orders>& blocks() const { return blocks_; }
  [[nodiscard]] u64 frames(FrameKind kind) const { return kind == clean_ ? clean_frames_ : kind == dirty_ ? dirty_frames_ : 0; }
  [[nodiscard]] u64 frames() const { return clean_frames_ + dirty_frames_; }

 private:
  struct List {
    u32 first = k_no_frame;
    u32 last = k_no_frame;
  };
  void link(Mfn mfn, Order order, FrameKind kind);
  void unlink(Frame& frame, Order order, FrameKind kind);
  [[nodiscard]] u64& frames_of(FrameKind kind) { return kind == clean_ ? clean_frames_ : dirty_frames_; }

  const FrameTable* table_ = nullptr;
  DomainId owner_;
  FrameKind clean_, dirty_;
  u32 references_;
  u32 nonempty_ = 0;  ///< bit n: lists_[n] has a block
  std::array<List, k_orders> lists_{};
  std::array<u64, k_orders> blocks_{};
  u64 clean_frames_ = 0, dirty_frames_ = 0;  ///< all are clean when there is one kind
};
}  // namespace octavo::mm
