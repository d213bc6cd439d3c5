// SPDX-License-Identifier: Apache-2.0
#include "domain/image_tree.hpp"

#include <libfdt.h>

namespace octavo::domain {
namespace {

constexpr u32 k_tree_version = 17;

std::unexpected<ImageError> refuse_file(const char* cause) { return std::unexpected(ImageError{.cause = cause}); }

/// Is `name` prefix followed by index in lower-case hexadecimal without leading zeros?
bool is_numbered(std::string_view name, std::string_view prefix, u32 index) {
  char text[8];
  BufferSink digits{text};
  format(digits, "{:x}", index);
  return name.starts_with(prefix) && name.substr(prefix.size()) == digits.view();
}
}  // namespace

ImageResult<Tree> Tree::open(std::span<const std::byte> bytes) {
  const void* tree = bytes.data();
  if (reinterpret_cast<u64>(tree) % 8 != 0) return refuse_file("the image does not lie at a multiple of 8");
  if (bytes.size() < sizeof(fdt_header)) return refuse_file("too short to be a domain image");
  if (fdt_magic(tree) != FDT_MAGIC) return refuse_file("not a domain image: it does not begin with a device tree");
  if (fdt_version(tree) != k_tree_version) return refuse_file("not version 17 of the flattened device tree");
  const u64 size = fdt_totalsize(tree);
  if (size > OCTAVO_IMAGE_MAX_TREE_SIZE) return refuse_file("the tree is larger than 64 KiB");
  if (size > bytes.size()) return refuse_file("the tree is truncated");
  if (fdt_size_dt_strings(tree) > OCTAVO_IMAGE_MAX_STRINGS_SIZE) return refuse_file("the tree has more than 1 KiB of strings");
  if (const int error = fdt_check_full(tree, size); error != 0) return refuse_file(fdt_strerror(error));
  return Tree{tree, size};
}

bool TreeNode::has(const char* property) const { return fdt_getprop(tree_, offset_, property, nullptr) != nullptr; }

ImageResult<TreeCells> TreeNode::cells(const char* property) const {
  int length = 0;
  const void* data = fdt_getprop(tree_, offset_, property, &length);
  if (data == nullptr) return refuse(property, "missing");
  if (length < 0 || length % 4 != 0) return refuse(property, "not a list of 32-bit numbers");
  return TreeCells{static_cast<const std::byte*>(data), static_cast<u32>(length) / 4};
}

ImageResult<u32> TreeNode::number32(const char* property) const {
  const TreeCells list = OCTAVO_TRY(cells(property));
  if (list.count != 1) return refuse(property, "not one 32-bit number");
  return list[0];
}

ImageResult<u64> TreeNode::number64(const char* property) const {
  const TreeCells list = OCTAVO_TRY(cells(property));
  if (list.count != 2) return refuse(property, "not one 64-bit number");
  return u64{list[0]} << 32 | list[1];
}

ImageResult<std::string_view> TreeNode::text(const char* property) const {
  int length = 0;
  const void* data = fdt_getprop(tree_, offset_, property, &length);
  if (data == nullptr) return refuse(property, "missing");
  if (length < 1) return refuse(property, "not a text");
  const std::string_view whole{static_cast<const char*>(data), static_cast<usize>(length)};
  if (whole.find('\0') != whole.size() - 1) return refuse(property, "not one NUL-terminated text");
  const std::string_view text = whole.substr(0, whole.size() - 1);
  for (const char c : text) {
    if (static_cast<u8>(c) < 0x20 || c == 0x7f) return refuse(property, "a control character");
  }
  return text;
}

ImageResult<TreeNode> TreeNode::child(const char* name) const {
  const int offset = fdt_subnode_offset(tree_, offset_, name);
  if (offset < 0) return std::unexpected(ImageError{.node = name, .cause = "missing"});
  return TreeNode{tree_, offset, name};
}

TreeChildren TreeNode::children(const char* path, std::string_view prefix) const { return {*this, path, prefix}; }

ImageResult<std::optional<TreeNode>> TreeChildren::next() {
  const void* tree = parent_.tree_;
  offset_ = offset_ < 0 ? fdt_first_subnode(tree, parent_.offset_) : fdt_next_subnode(tree, offset_);
  if (offset_ < 0) return std::optional<TreeNode>{};
  int length = 0;
  const char* name = fdt_get_name(tree, offset_, &length);
  const TreeNode node{tree, offset_, path_, index_};
  if (name == nullptr || !is_numbered({name, static_cast<usize>(length)}, prefix_, index_)) {
    return node.refuse(nullptr, "missing, or its number is out of order");
  }
  ++index_;
  return std::optional{node};
}
}  // namespace octavo::domain
