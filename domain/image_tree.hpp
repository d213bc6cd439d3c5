// SPDX-License-Identifier: Apache-2.0
// Typed, distrustful access to the device tree at the head of a domain image, on libfdt. Every getter says in its error which
// node and property it means. Used by domain/image.cpp only.
#pragma once
#include <optional>

#include "domain/image.hpp"

namespace octavo::domain {

/// The big-endian 32-bit cells of a property.
struct TreeCells {
  const std::byte* data = nullptr;
  u32 count = 0;
  u32 operator[](u32 index) const {  // index < count
    u32 cell;
    __builtin_memcpy(&cell, data + usize{index} * sizeof cell, sizeof cell);
    return __builtin_bswap32(cell);
  }
};

class TreeChildren;

/// One node. `path` is static text for errors, followed by `index` if there is one.
class TreeNode {
 public:
  TreeNode(const void* tree, int offset, const char* path, u32 index = ImageError::k_no_index)
      : tree_(tree), offset_(offset), path_(path), index_(index) {}

  [[nodiscard]] bool has(const char* property) const;
  [[nodiscard]] ImageResult<TreeCells> cells(const char* property) const;
  [[nodiscard]] ImageResult<u32> number32(const char* property) const;
  [[nodiscard]] ImageResult<u64> number64(const char* property) const;
  /// One NUL-terminated string without control characters; may be empty.
  [[nodiscard]] ImageResult<std::string_view> text(const char* property) const;

  [[nodiscard]] ImageResult<TreeNode> child(const char* name) const;
  /// All children, which must be called <prefix>0, <prefix>1, ... <prefix>a in this order. `path` as in the constructor.
  [[nodiscard]] TreeChildren children(const char* path, std::string_view prefix) const;

  [[nodiscard]] std::unexpected<ImageError> refuse(const char* property, const char* cause, Error code = Error::corrupt) const {
    return std::unexpected(ImageError{path_, index_, property, cause, code});
  }

 private:
  friend class TreeChildren;
  const void* tree_;
  int offset_;
  const char* path_;
  u32 index_;
};

class TreeChildren {
 public:
  TreeChildren(const TreeNode& parent, const char* path, std::string_view prefix)
      : parent_(parent), path_(path), prefix_(prefix) {}
  /// The next child, or nothing when there is no more.
  [[nodiscard]] ImageResult<std::optional<TreeNode>> next();

 private:
  TreeNode parent_;
  const char* path_;
  std::string_view prefix_;
  int offset_ = -1;
  u32 index_ = 0;
};

/// The tree as a whole. open() walks all of it once, so that nothing later can lead outside of it, and bounds its size and that
/// of its strings: every later lookup is linear in the tree times a property name.
class Tree {
 public:
  [[nodiscard]] static ImageResult<Tree> open(std::span<const std::byte> bytes);
  [[nodiscard]] TreeNode root() const { return {tree_, 0, ""}; }
  [[nodiscard]] u64 size() const { return size_; }

 private:
  Tree(const void* tree, u64 size) : tree_(tree), size_(size) {}
  const void* tree_;
  u64 size_;
};
}  // namespace octavo::domain
