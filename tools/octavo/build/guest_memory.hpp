// SPDX-License-Identifier: Apache-2.0
// The guest-physical memory of a domain while it is laid out: RAM below 3 GiB and from 4 GiB on, the PC's legacy hole in the
// map that the guest is told of (though RAM backs it), and the segments placed so far. No two segments share a page.
#pragma once
#include <string>
#include <vector>

#include "tools/octavo/build/bytes.hpp"
#include "tools/octavo/build/outcome.hpp"

namespace octavo::build {

inline constexpr u64 k_low_memory_end = u64{3} << 30;   ///< RAM ends here at the latest; devices live above
inline constexpr u64 k_high_memory_base = u64{4} << 30; ///< and goes on here
inline constexpr u64 k_legacy_begin = 0x9fc00;          ///< told as reserved: EBDA, VGA, option ROMs, BIOS
inline constexpr u64 k_legacy_end = 0x100000;

struct Range {
  u64 base = 0;
  u64 size = 0;
};

/// An entry of the map that the guest is given; types as in e820 (ACPI 6.5, table 15.4).
struct E820Entry {
  u64 base = 0;
  u64 size = 0;
  u32 type = 0;
};
inline constexpr u32 k_e820_ram = 1;
inline constexpr u32 k_e820_reserved = 2;

struct Segment {
  std::string label;
  u64 gpa = 0;          ///< page-aligned
  u64 memory_size = 0;  ///< bytes; what is beyond data is zero
  Bytes data;
};

class GuestMemory {
 public:
  enum class From { bottom, top };

  /// memory: bytes, a multiple of 4 KiB.
  explicit GuestMemory(u64 memory);

  /// What exists: the "ram" ranges of the image.
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  [[nodiscard]] std::vector<E820Entry> e820() const;
  /// End of RAM below 4 GiB.
  [[nodiscard]] u64 low_end() const { return ranges_.front().size; }

  /// Puts a segment where it must be; fails where that is not free, or not RAM in the guest's map. The failure begins with
  /// the segment's label.
  [[nodiscard]] Outcome<> place_at(Segment segment);
  /// The same in the legacy hole, for what firmware leaves there.
  [[nodiscard]] Outcome<> place_firmware(Segment segment);
  /// Finds the lowest or highest place for `segment` in [begin, end), places it there and returns its gpa.
  [[nodiscard]] Outcome<u64> place(Segment segment, u64 begin, u64 end, From from);

  /// Gives the segment at `gpa` its data, for structures that hold their own address.
  void fill(u64 gpa, Bytes data);

  /// In ascending order.
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] std::vector<Segment> take_segments() && { return std::move(segments_); }

 private:
  [[nodiscard]] const Segment* overlapping(u64 gpa, u64 size) const;
  /// Free whole pages of RAM in [begin, end), ascending.
  [[nodiscard]] std::vector<Range> gaps(u64 begin, u64 end) const;
  Outcome<> insert(Segment segment);

  std::vector<Range> ranges_;
  std::vector<Segment> segments_;
};
}  // namespace octavo::build
