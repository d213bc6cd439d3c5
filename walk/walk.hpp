// SPDX-License-Identifier: Apache-2.0
// walk/: the one walker of guest page tables, for shadow, the emulator and hypercalls. It answers what a processor would: a
// translation, or the #PF with its error code. Accessed and dirty bits are set only when the whole walk is permitted, and only
// in entries that have not changed since they were read. It holds no locks and keeps nothing between calls.
#pragma once
#include <array>
#include <expected>
#include <optional>
#include <span>

#include "walk/memory.hpp"
#include "walk/mode.hpp"

namespace octavo::walk {

enum class AccessKind : u8 { read, write, fetch };
enum class Privilege : u8 { supervisor, user };

/// An access as SDM 3A 4.6 classifies it. `implicit` accesses (descriptor tables, TSS) are made with supervisor privilege
/// whatever the CPL, and SMAP forbids them user pages whatever RFLAGS.AC.
struct Access {
  AccessKind kind = AccessKind::read;
  Privilege privilege = Privilege::supervisor;
  bool implicit = false;
  bool alignment_check = false;  ///< RFLAGS.AC
};

/// The page-fault error code (SDM 3A 4.7).
enum PageFaultBit : u32 {
  k_fault_present = 1u << 0,
  k_fault_write = 1u << 1,
  k_fault_user = 1u << 2,
  k_fault_reserved = 1u << 3,
  k_fault_fetch = 1u << 4,
  k_fault_key = 1u << 5,
};

/// What all entries on the way allow together.
struct Rights {
  bool writable = true;
  bool user = true;
  bool executable = true;
  constexpr bool operator==(const Rights&) const = default;
};

/// An entry that the walk went through. Level 1 maps 4K, 2 maps 2M or 4M, 3 maps 1G, 4 is the root of 4-level paging.
struct Step {
  Gpa address{};
  u64 entry = 0;
  u8 level = 0;
};

struct Translation {
  Gpa gpa{};                  ///< of the byte asked for
  Order order = k_order_1g;   ///< of the guest's leaf; 4M pages are 10; without paging 1G
  Rights rights{};
  u8 protection_key = 0;
  bool global = false;
  bool dirty = false;         ///< D of the leaf, after this walk; true without paging
  u8 steps = 0;               ///< how many of `path`, root first; latched PDPTEs are no steps
  std::array<Step, 4> path{}; ///< entries as they are after this walk; the last one is the leaf
};

/// Why there is no translation.
struct Failure {
  enum class Kind : u8 {
    page_fault,         ///< inject #PF with error_code, CR2 = address
    non_canonical,      ///< #GP or #SS, the caller knows which
    table_unreachable,  ///< `table` is not memory, or `error` says why it cannot be had now
    contended,          ///< other vCPUs kept changing the entries; let the guest try again
  };
  Kind kind = Kind::page_fault;
  u32 error_code = 0;
  Gva address{};
  Gpa table{};
  Error error = Error::not_found;
};

/// Whether the walk is on behalf of an access that happens (A and D are set), or only asks.
enum class Marking : u8 { set, leave };

/// Translates gva. Outside of 4-level paging only its low 32 bits count, as on the processor.
[[nodiscard]] std::expected<Translation, Failure> walk(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva,
                                                       Marking marking = Marking::set);

/// Nothing if a present page with these rights permits the access; else the error code of the #PF. For shadow, which
/// has to know it before it makes an spte.
[[nodiscard]] std::optional<u32> violation(const Mode& mode, Rights rights, u8 protection_key, const Access& access);

/// Reads the four PDPTEs that cr3 refers to (bits 31:5). `not_permitted` if a present one has a reserved bit: the caller's #GP.
[[nodiscard]] Result<std::array<u64, 4>> load_pdptes(GuestMemory& memory, u64 cr3, unsigned physical_bits);
}  // namespace octavo::walk
