// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/guest_memory.hpp"

#include <algorithm>

#include "lib/address.hpp"
#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

u64 page_end(const Segment& segment) { return align_up(segment.gpa + segment.memory_size, k_page_size); }
}  // namespace

GuestMemory::GuestMemory(u64 memory) {
  ranges_.push_back({0, std::min(memory, k_low_memory_end)});
  if (memory > k_low_memory_end) ranges_.push_back({k_high_memory_base, memory - k_low_memory_end});
}

std::vector<E820Entry> GuestMemory::e820() const {
  std::vector<E820Entry> map{{0, k_legacy_begin, k_e820_ram}, {k_legacy_begin, k_legacy_end - k_legacy_begin, k_e820_reserved}};
  if (low_end() > k_legacy_end) map.push_back({k_legacy_end, low_end() - k_legacy_end, k_e820_ram});
  if (ranges_.size() > 1) map.push_back({ranges_[1].base, ranges_[1].size, k_e820_ram});
  return map;
}

const Segment* GuestMemory::overlapping(u64 gpa, u64 size) const {
  const auto found = std::ranges::find_if(segments_, [&](const Segment& other) {
    return gpa < page_end(other) && align_up(gpa + size, k_page_size) > other.gpa;
  });
  return found == segments_.end() ? nullptr : &*found;
}

Outcome<> GuestMemory::insert(Segment segment) {
  if (const Segment* other = overlapping(segment.gpa, segment.memory_size)) {
    return failure("{} at {:#x} needs {}, but {} lies at {:#x}", segment.label, segment.gpa, rounded_size(segment.memory_size),
                   other->label, other->gpa);
  }
  const auto behind = std::ranges::upper_bound(segments_, segment.gpa, {}, &Segment::gpa);
  segments_.insert(behind, std::move(segment));
  return {};
}

void GuestMemory::fill(u64 gpa, Bytes data) { std::ranges::find(segments_, gpa, &Segment::gpa)->data = std::move(data); }

Outcome<> GuestMemory::place_firmware(Segment segment) { return insert(std::move(segment)); }

Outcome<> GuestMemory::place_at(Segment segment) {
  for (const E820Entry& entry : e820()) {
    if (entry.type != k_e820_ram || segment.gpa < entry.base) continue;
    if (range_within(segment.gpa - entry.base, segment.memory_size, entry.size)) return insert(std::move(segment));
  }
  u64 ram = 0;
  for (const Range& range : ranges_) ram += range.size;
  return failure("{} needs {} at {:#x}, which is not all RAM in a domain of {}", segment.label, rounded_size(segment.memory_size),
                 segment.gpa, exact_size(ram));
}

std::vector<Range> GuestMemory::gaps(u64 begin, u64 end) const {
  std::vector<Range> gaps;
  const auto add = [&](u64 low, u64 high) {
    low = align_up(low, k_page_size);
    high = align_down(high, k_page_size);
    if (low < high) gaps.push_back({low, high - low});
  };
  for (const E820Entry& entry : e820()) {
    if (entry.type != k_e820_ram) continue;
    u64 low = std::max(begin, entry.base);
    const u64 high = std::min(end, entry.base + entry.size);
    for (const Segment& segment : segments_) {
      if (segment.gpa >= high) break;
      add(low, segment.gpa);
      low = std::max(low, page_end(segment));
    }
    add(low, high);
  }
  return gaps;
}

Outcome<u64> GuestMemory::place(Segment segment, u64 begin, u64 end, From from) {
  const u64 size = align_up(segment.memory_size, k_page_size);
  std::vector<Range> fitting = gaps(begin, end);
  std::erase_if(fitting, [&](const Range& gap) { return gap.size < size; });
  if (fitting.empty()) {
    return failure("{} of {} does not fit into the free memory between {:#x} and {:#x}", segment.label,
                   rounded_size(segment.memory_size), begin, std::min(end, low_end()));
  }
  const Range& last = fitting.back();
  const u64 gpa = from == From::bottom ? fitting.front().base : last.base + last.size - size;
  segment.gpa = gpa;
  OCTAVO_TRY(insert(std::move(segment)));
  return gpa;
}
}  // namespace octavo::build
