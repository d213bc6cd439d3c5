// SPDX-License-Identifier: Apache-2.0
// What an accepted image promises, written a second time and in another way (128-bit numbers, all pairs), for fuzzing:
// whatever the bytes, check_image either refuses or every promise holds.
#pragma once
#include <algorithm>

#include "domain/image.hpp"

namespace octavo::test {

/// The first promise that `image`, accepted from `bytes`, breaks; nullptr if it keeps all.
[[nodiscard]] inline const char* broken_promise(std::span<const std::byte> bytes, const domain::Image& image) {
  __extension__ using u128 = unsigned __int128;
  const auto inside = [](u128 begin, u128 size, u128 outer_begin, u128 outer_size) {
    return begin >= outer_begin && begin + size <= outer_begin + outer_size;
  };
  const auto overlap = [](u128 a, u128 a_size, u128 b, u128 b_size) { return a < b + b_size && b < a + a_size; };
  const auto in_segment = [&](u64 address, u64 size) {
    return std::ranges::any_of(image.segments(), [&](const auto& s) { return inside(address, size, s.gpa.value(), s.memory_size); });
  };
  const auto& config = image.config;
  const auto& registers = image.registers;

  if (bytes.size() % k_page_size != 0) return "size of the file";
  if (image.tree_size > OCTAVO_IMAGE_MAX_TREE_SIZE || image.tree_size > bytes.size()) return "size of the tree";
  if (config.name.empty() || config.name.size() > OCTAVO_IMAGE_MAX_NAME) return "name";
  if (config.vcpus != 1) return "vcpus";
  if (config.memory > config.maximum_memory || (config.memory | config.maximum_memory) % k_page_size != 0) return "memory";

  u128 total = 0;
  if (image.ranges().empty() || image.ranges().size() > OCTAVO_IMAGE_MAX_RANGES) return "count of ranges";
  for (const auto& a : image.ranges()) {
    total += a.size;
    if (a.size == 0 || (a.base.value() | a.size) % k_page_size != 0) return "alignment of a range";
    if (!inside(a.base.value(), a.size, 0, OCTAVO_IMAGE_ADDRESS_LIMIT)) return "end of a range";
    for (const auto& b : image.ranges()) {
      if (&a != &b && overlap(a.base.value(), a.size, b.base.value(), b.size)) return "ranges overlap";
    }
  }
  if (total != config.maximum_memory) return "sum of the ranges";

  const auto base = reinterpret_cast<u64>(bytes.data());
  const auto at = [](const domain::ImageSegment& s) { return reinterpret_cast<u64>(s.data.data()); };
  if (image.segments().empty() || image.segments().size() > OCTAVO_IMAGE_MAX_SEGMENTS) return "count of segments";
  for (const auto& a : image.segments()) {
    if (a.gpa.page_offset() != 0) return "alignment of a segment";
    if (a.memory_size == 0 || a.data.size() > a.memory_size) return "size of a segment";
    if (!inside(at(a), a.data.size(), base + image.tree_size, bytes.size() - image.tree_size)) return "data of a segment";
    if ((at(a) - base) % k_page_size != 0) return "alignment of data";
    if (std::ranges::none_of(image.ranges(), [&](const auto& r) { return inside(a.gpa.value(), a.memory_size, r.base.value(), r.size); })) {
      return "segment outside of ram";
    }
    for (const auto& b : image.segments()) {
      if (&a == &b) continue;
      if (overlap(a.gpa.value(), a.memory_size, b.gpa.value(), b.memory_size)) return "segments overlap";
      if (!a.data.empty() && !b.data.empty() && overlap(at(a), a.data.size(), at(b), b.data.size())) return "data overlaps";
    }
  }

  if (!in_segment(registers.rip, 1)) return "rip";
  if (registers.mode == domain::BootMode::long64) {
    if (registers.cr3 % k_page_size != 0 || !in_segment(registers.cr3, k_page_size)) return "cr3";
  } else {
    const u64 all = registers.rip | registers.rsp | registers.rax | registers.rbx | registers.rcx | registers.rdx | registers.rsi |
                    registers.rdi | registers.rbp;
    if (all >> 32 != 0 || registers.cr3 != 0) return "registers of protected32";
  }
  if (registers.gdt_limit > 0xffff) return "gdt_limit";
  if (registers.gdt_limit != 0 && !in_segment(registers.gdt_base, u64{registers.gdt_limit} + 1)) return "gdt_base";
  if (registers.cs == 0 || registers.ds == 0 || ((registers.cs | registers.ds) & 7) != 0) return "selectors";
  return nullptr;
}
}  // namespace octavo::test
