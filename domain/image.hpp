// SPDX-License-Identifier: Apache-2.0
// The domain image as the hypervisor reads it, format in include/octavo/domain_image.h. check_image() is the only reader: it
// believes nothing, does a bounded amount of work, allocates nothing, and what it returns holds every promise of the format
// but the CRCs. The same code answers `octavo inspect`. Views point into the image's bytes, which must outlive them.
#pragma once
#include <expected>
#include <span>
#include <string_view>

#include "include/octavo/domain_image.h"
#include "lib/address.hpp"
#include "lib/format.hpp"

namespace octavo::domain {

enum class Console : u8 { none, uart };
enum class KernelKind : u8 { linux_bzimage, pvh, multiboot };
enum class Policy : u8 { destroy, restart, preserve };
enum class BootMode : u8 { protected32, long64 };

[[nodiscard]] std::string_view to_string(Console console);
[[nodiscard]] std::string_view to_string(KernelKind kind);
[[nodiscard]] std::string_view to_string(Policy policy);
[[nodiscard]] std::string_view to_string(BootMode mode);

/// What an image is refused for. All text is static, so it outlives the image.
struct ImageError {
  static constexpr u32 k_no_index = ~u32{0};

  const char* node = "";                        ///< "config", "segments/segment@"; "" is the file as a whole
  u32 index = k_no_index;                       ///< the number that belongs behind node
  const char* property = nullptr;               ///< nullptr: the node as a whole
  const char* cause = "";                       ///< "data beyond the end of the image"
  Error code = Error::corrupt;                  ///< unsupported: legal, but this version of Octavo cannot
  bool operator==(const ImageError&) const = default;
};

/// "segments/segment@2: data-offset: beyond the end of the image"
void format_error(Sink& sink, const ImageError& error);

template <class T = void>
using ImageResult = std::expected<T, ImageError>;

struct ImageConfig {
  std::string_view name;
  u32 vcpus = 0;
  u64 memory = 0;          ///< bytes
  u64 maximum_memory = 0;  ///< bytes
  bool leaf_1g = false;    ///< may the p2m use leaves of order 18
  bool leaf_2m = false;    ///< and of order 9; order 0 always
  Console console = Console::none;
  Policy on_poweroff = Policy::destroy;
  Policy on_reboot = Policy::restart;
  Policy on_crash = Policy::destroy;
  KernelKind kernel_kind = KernelKind::linux_bzimage;
  std::string_view command_line;
};

/// Guest RAM; base and size are multiples of 4 KiB.
struct ImageRange {
  Gpa base;
  u64 size = 0;
};

struct ImageSegment {
  std::string_view label;
  Gpa gpa;                          ///< page-aligned
  u64 memory_size = 0;              ///< bytes; the rest after data is zero
  std::span<const std::byte> data;  ///< at most memory_size bytes, page-aligned in the image
  u32 crc32 = 0;                    ///< of data, not yet compared
};

struct BootRegisters {
  BootMode mode = BootMode::protected32;
  u64 rip = 0, rsp = 0, rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rbp = 0;
  u64 cr3 = 0;        ///< 0 for protected32
  u64 gdt_base = 0;   ///< with gdt_limit 0: none
  u32 gdt_limit = 0;  ///< offset of the last byte
  u16 cs = 0, ds = 0;
};

/// About 5 KiB: give it static storage in the hypervisor, not a stack.
struct Image {
  std::string_view generator;
  ImageConfig config;
  BootRegisters registers;
  u64 tree_size = 0;  ///< bytes

  [[nodiscard]] std::span<const ImageRange> ranges() const { return {range_, range_count_}; }
  [[nodiscard]] std::span<const ImageSegment> segments() const { return {segment_, segment_count_}; }

 private:
  friend class ImageReader;
  usize range_count_ = 0;
  usize segment_count_ = 0;
  ImageRange range_[OCTAVO_IMAGE_MAX_RANGES];
  ImageSegment segment_[OCTAVO_IMAGE_MAX_SEGMENTS];
};

/// Reads `bytes` (8-byte aligned, all of the file and nothing else) into `image`, checking every promise of the format but the
/// CRCs. On an error the content of `image` means nothing.
[[nodiscard]] ImageResult<> check_image(std::span<const std::byte> bytes, Image& image);

/// Compares the CRC of a segment that someone computed (Crc32 while copying it) with the image's word.
[[nodiscard]] ImageResult<> check_crc(const Image& image, usize segment, u32 computed);

/// Computes and compares the CRCs of all segments: reads every byte of data.
[[nodiscard]] ImageResult<> check_all_crcs(const Image& image);
}  // namespace octavo::domain
