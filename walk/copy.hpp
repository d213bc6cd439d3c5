// SPDX-License-Identifier: Apache-2.0
// Bytes from and to guest linear addresses. Both pages of an access that crosses a boundary are translated before a byte
// moves, so that a fault finds memory unchanged, as the architecture asks of a single access.
#pragma once
#include <span>

#include "walk/walk.hpp"

namespace octavo::walk {

/// The most that one call copies; so at most two pages are touched.
inline constexpr usize k_copy_limit = k_page_size;

/// Where the bytes of a linear range are.
struct Extent {
  struct Piece {
    Gpa gpa{};
    usize size = 0;
  };
  std::array<Piece, 2> pieces{};  ///< the second has size 0 unless the range crosses a page
};

struct CopyFailure {
  enum class Kind : u8 {
    translation,  ///< `walk` says why; no byte was copied
    memory,       ///< the memory at `gpa` refused with `error`; `done` bytes were copied before
    too_large,    ///< more than k_copy_limit
  };
  Kind kind = Kind::translation;
  Failure walk{};
  Gpa gpa{};
  Error error = Error::not_found;
  usize done = 0;
};

/// Translates [gva, gva + size), setting A and D as for the access. An address that wraps goes on at 0 (32-bit: at 4 GiB).
[[nodiscard]] std::expected<Extent, CopyFailure> resolve(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva,
                                                         usize size);

[[nodiscard]] std::expected<void, CopyFailure> read_extent(GuestBytes& memory, const Extent& extent, std::span<u8> out);
[[nodiscard]] std::expected<void, CopyFailure> write_extent(GuestBytes& memory, const Extent& extent, std::span<const u8> in);

/// access.kind is read or fetch.
[[nodiscard]] std::expected<void, CopyFailure> copy_from_guest(GuestBytes& memory, const Mode& mode, const Access& access, Gva gva,
                                                               std::span<u8> out);
/// access.kind is taken to be write.
[[nodiscard]] std::expected<void, CopyFailure> copy_to_guest(GuestBytes& memory, const Mode& mode, Access access, Gva gva,
                                                             std::span<const u8> in);

/// Instruction bytes at gva, at most out.size(); stops at a page that cannot be fetched. An instruction that decodes from
/// what there is was executable; one that needs more takes the failure.
struct Fetched {
  usize size = 0;
  std::optional<CopyFailure> stopped_by;  ///< why there are fewer than asked for
};
[[nodiscard]] Fetched fetch_instruction(GuestBytes& memory, const Mode& mode, Privilege privilege, Gva gva, std::span<u8> out);
}  // namespace octavo::walk
