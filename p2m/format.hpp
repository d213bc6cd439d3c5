// SPDX-License-Identifier: Apache-2.0
// The format of an entry, as data: where NPT (AMD APM vol. 2, 15.25 and 5.3) and EPT (Intel SDM vol. 3, 29.3.2) put what we say.
// One implementation serves both; nothing outside this file knows a bit. Software's own fields lie where both leave bits
// to software (52..56): the type (for a table: the type that all memory below is to take, see P8) and `written` (D5).
//
//   63     56 55..52 51        12 11   9 8 7 6 5 4 3 2 1 0
//   NX      w  type  |  frame   |        G S D A C T U W P   NPT     S = PS
//           w  type  |  frame   |      D A S . memtype X W R   EPT     D = 9, A = 8, S = 7
#pragma once
#include <array>

#include "lib/address.hpp"
#include "p2m/type.hpp"

namespace octavo::p2m {

/// Level 0 holds 4K leaves, 1 2M, 2 1G; 3 and 4 hold tables only. An entry at a level spans an order of 9 times it.
[[nodiscard]] constexpr Order order_of_level(unsigned level) { return Order{9 * level}; }
[[nodiscard]] constexpr unsigned level_of_order(Order order) { return order.value() / 9; }
inline constexpr unsigned k_max_leaf_level = 2;
inline constexpr unsigned k_entries = 512;

/// What a leaf or a hole says.
struct Leaf {
  Mfn mfn{};  ///< of its first frame; 0 for a hole
  Type type = Type::invalid;
  bool accessed = false;
  bool dirty = false;
  bool written = false;  ///< sticky: somebody wrote here since it was populated
  constexpr bool operator==(const Leaf&) const = default;
};

/// What an entry that points to a table says.
struct TableLink {
  Mfn table{};
  Type pending = Type::invalid;  ///< the type that memory below is to take; invalid: none
  bool accessed = false;
  constexpr bool operator==(const TableLink&) const = default;
};

struct Format {
  const char* name;
  u64 read, write, execute, no_execute;  ///< 0 where the format has no such bit
  u64 leaf_always, table_always;         ///< bits that every leaf, every table entry has beside its rights
  u64 write_back, uncached;              ///< memory types
  u64 large, accessed, dirty;

  static constexpr u64 k_frame = 0x000F'FFFF'FFFF'F000;
  static constexpr unsigned k_type_shift = 52;
  static constexpr u64 k_type = u64{15} << k_type_shift;
  static constexpr u64 k_written = u64{1} << 56;

  [[nodiscard]] constexpr u64 encode_rights(Access access) const {
    return (access.read ? read : 0) | (access.write ? write : 0) | (access.execute ? execute : no_execute);
  }
  /// A leaf at a level, or a hole when the type maps nothing.
  [[nodiscard]] constexpr u64 encode(const Leaf& leaf, unsigned level) const {
    const u64 type = u64{static_cast<u8>(leaf.type)} << k_type_shift;
    if (!is_mapped(leaf.type)) return type;
    return type | encode_rights(access_of(leaf.type)) | leaf_always | (leaf.type == Type::mmio_direct ? uncached : write_back) |
           (level > 0 ? large : 0) | leaf.mfn.value() << k_page_shift | (leaf.accessed ? accessed : 0) |
           (leaf.dirty ? dirty : 0) | (leaf.written ? k_written : 0);
  }
  /// A pending type that takes the right to write away does so at once: rights are ANDed along the walk.
  [[nodiscard]] constexpr u64 encode(const TableLink& link) const {
    const bool writable = link.pending == Type::invalid || access_of(link.pending).write;
    return u64{static_cast<u8>(link.pending)} << k_type_shift | table_always | read | (writable ? write : 0) | execute |
           link.table.value() << k_page_shift | (link.accessed ? accessed : 0);
  }

  [[nodiscard]] constexpr bool is_present(u64 entry) const { return (entry & (read | write | execute)) != 0; }
  [[nodiscard]] constexpr bool is_table(u64 entry, unsigned level) const {
    return level > 0 && is_present(entry) && (entry & large) == 0;
  }
  [[nodiscard]] static constexpr Type type_of(u64 entry) { return static_cast<Type>((entry & k_type) >> k_type_shift); }
  [[nodiscard]] static constexpr Mfn mfn_of(u64 entry) { return Mfn{(entry & k_frame) >> k_page_shift}; }
  [[nodiscard]] constexpr Leaf decode_leaf(u64 entry) const {
    if (!is_present(entry)) return {.type = type_of(entry)};
    return {mfn_of(entry), type_of(entry), (entry & accessed) != 0, (entry & dirty) != 0, (entry & k_written) != 0};
  }
  [[nodiscard]] constexpr TableLink decode_table(u64 entry) const {
    return {mfn_of(entry), type_of(entry), (entry & accessed) != 0};
  }
  /// Is it an entry that encode() can have made (hardware's A and D aside)?
  [[nodiscard]] constexpr bool is_sound(u64 entry, unsigned level) const {
    if (type_of(entry) >= Type::count_) return false;
    if (is_table(entry, level)) return encode(decode_table(entry)) == entry;
    const Leaf leaf = decode_leaf(entry);
    if (is_present(entry) && (level > k_max_leaf_level || !leaf.mfn.is_aligned(order_of_level(level)))) return false;
    return encode(leaf, level) == entry;
  }
  /// No two fields share a bit.
  [[nodiscard]] constexpr bool fields_are_disjoint() const {
    u64 seen = 0;
    for (const u64 field : {read, write, no_execute, leaf_always, write_back | uncached, large, accessed, dirty, k_frame, k_type, k_written}) {
      if ((seen & field) != 0) return false;
      seen |= field;
    }
    return (seen & execute) == 0;
  }
};

namespace detail {
constexpr u64 bit(unsigned n) { return u64{1} << n; }
}  // namespace detail

/// Nested walks are user accesses, so U is set everywhere. Uncached is PAT entry 3 (PCD and PWT), which the hypervisor leaves at UC.
inline constexpr Format k_npt{.name = "NPT",
                              .read = detail::bit(0), .write = detail::bit(1), .execute = 0, .no_execute = detail::bit(63),
                              .leaf_always = detail::bit(2), .table_always = detail::bit(2),
                              .write_back = 0, .uncached = detail::bit(3) | detail::bit(4),
                              .large = detail::bit(7), .accessed = detail::bit(5), .dirty = detail::bit(6)};
/// A and D as EPTP bit 6 enables them; memory type 6 is write-back, 0 uncached.
inline constexpr Format k_ept{.name = "EPT",
                              .read = detail::bit(0), .write = detail::bit(1), .execute = detail::bit(2), .no_execute = 0,
                              .leaf_always = 0, .table_always = 0,
                              .write_back = u64{6} << 3, .uncached = 0,
                              .large = detail::bit(7), .accessed = detail::bit(8), .dirty = detail::bit(9)};
static_assert(k_npt.fields_are_disjoint() && k_ept.fields_are_disjoint());
static_assert(k_npt.is_sound(0, 0) && k_ept.is_sound(0, 3), "a zeroed table is a table of holes");
}  // namespace octavo::p2m
