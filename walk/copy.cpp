// SPDX-License-Identifier: Apache-2.0
#include "walk/copy.hpp"

#include <algorithm>

namespace octavo::walk {
namespace {
CopyFailure memory_failure(Gpa gpa, Error error, usize done) {
  return CopyFailure{CopyFailure::Kind::memory, {}, gpa, error, done};
}
}  // namespace

std::expected<Extent, CopyFailure> resolve(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva, usize size) {
  if (size > k_copy_limit) return std::unexpected(CopyFailure{CopyFailure::Kind::too_large});
  Extent extent;
  if (size == 0) return extent;
  const usize first = std::min<usize>(size, k_page_size - gva.page_offset());
  // The second page is only asked about before the first is marked, so that a fault there leaves no dirty bit behind.
  const bool crosses = first < size;
  const auto head = walk(memory, mode, access, gva, crosses ? Marking::leave : Marking::set);
  if (!head) return std::unexpected(CopyFailure{CopyFailure::Kind::translation, head.error()});
  extent.pieces[0] = {head->gpa, first};
  if (!crosses) return extent;
  const auto tail = walk(memory, mode, access, gva + first, Marking::set);
  if (!tail) return std::unexpected(CopyFailure{CopyFailure::Kind::translation, tail.error()});
  extent.pieces[1] = {tail->gpa, size - first};
  const auto marked = walk(memory, mode, access, gva, Marking::set);
  if (!marked) return std::unexpected(CopyFailure{CopyFailure::Kind::translation, marked.error()});
  extent.pieces[0].gpa = marked->gpa;
  return extent;
}

std::expected<void, CopyFailure> read_extent(GuestBytes& memory, const Extent& extent, std::span<u8> out) {
  usize done = 0;
  for (const Extent::Piece& piece : extent.pieces) {
    const usize size = std::min(piece.size, out.size() - done);
    if (size == 0) continue;
    if (const auto read = memory.read(piece.gpa, out.subspan(done, size)); !read) {
      return std::unexpected(memory_failure(piece.gpa, read.error(), done));
    }
    done += size;
  }
  return {};
}

std::expected<void, CopyFailure> write_extent(GuestBytes& memory, const Extent& extent, std::span<const u8> in) {
  usize done = 0;
  for (const Extent::Piece& piece : extent.pieces) {
    const usize size = std::min(piece.size, in.size() - done);
    if (size == 0) continue;
    if (const auto written = memory.write(piece.gpa, in.subspan(done, size)); !written) {
      return std::unexpected(memory_failure(piece.gpa, written.error(), done));
    }
    done += size;
  }
  return {};
}

std::expected<void, CopyFailure> copy_from_guest(GuestBytes& memory, const Mode& mode, const Access& access, Gva gva,
                                                 std::span<u8> out) {
  const auto extent = resolve(memory, mode, access, gva, out.size());
  if (!extent) return std::unexpected(extent.error());
  return read_extent(memory, *extent, out);
}

std::expected<void, CopyFailure> copy_to_guest(GuestBytes& memory, const Mode& mode, Access access, Gva gva,
                                               std::span<const u8> in) {
  access.kind = AccessKind::write;
  const auto extent = resolve(memory, mode, access, gva, in.size());
  if (!extent) return std::unexpected(extent.error());
  return write_extent(memory, *extent, in);
}

Fetched fetch_instruction(GuestBytes& memory, const Mode& mode, Privilege privilege, Gva gva, std::span<u8> out) {
  const Access access{AccessKind::fetch, privilege};
  Fetched result;
  while (result.size < out.size()) {
    const Gva at = gva + result.size;
    const usize size = std::min<usize>(out.size() - result.size, k_page_size - at.page_offset());
    if (const auto part = copy_from_guest(memory, mode, access, at, out.subspan(result.size, size)); !part) {
      result.stopped_by = part.error();
      return result;
    }
    result.size += size;
  }
  return result;
}
}  // namespace octavo::walk
