// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/image/sample_image.hpp"

#include <libfdt.h>

#include <functional>
#include <stdexcept>

#include "domain/image.hpp"
#include "lib/crc32.hpp"

namespace octavo::test {
namespace {

void must(int result) {
  if (result < 0) throw std::logic_error{fdt_strerror(result)};
}

class Writer {
 public:
  Writer() : tree_(k_sample_data_begin) {
    must(fdt_create(tree_.data(), static_cast<int>(tree_.size())));
    must(fdt_finish_reservemap(tree_.data()));
  }
  void node(const char* name, const std::function<void()>& content) {
    must(fdt_begin_node(tree_.data(), name));
    content();
    must(fdt_end_node(tree_.data()));
  }
  void set(const char* property, const Bytes& value) {
    must(fdt_property(tree_.data(), property, value.data(), static_cast<int>(value.size())));
  }
  Bytes finish() {
    must(fdt_finish(tree_.data()));
    return tree_;
  }

 private:
  Bytes tree_;
};

struct SampleSegment {
  const char* node;
  const char* label;
  u64 gpa, memory_size, data_offset;
  Bytes data;
};

Bytes make(bool long64) {
  std::vector<SampleSegment> segments;
  segments.push_back({"segment@0", "gdt", 0x1000, 0x20, 0x2000, Bytes(0x20, std::byte{0x11})});
  segments.push_back({"segment@1", "kernel", 0x100000, 0x3000, 0x3000, Bytes(0x1800, std::byte{0x90})});
  segments.push_back({"segment@2", "bss", 0x1'0000'0000, 0x2000, 0x5000, {}});
  if (long64) {
    segments[0].memory_size = 0x1000;
    segments.insert(segments.begin() + 1, {"segment@1", "page-tables", 0x2000, 0x1000, 0x3000, {}});
    segments[2].node = "segment@2";
    segments[3].node = "segment@3";
  }
  Writer tree;
  tree.node("", [&] {
    tree.set("compatible", text("octavo,domain"));
    tree.set("octavo,version", cell(1));
    tree.set("image-size", cells(k_sample_size));
    tree.set("generator", text("octavo test"));
    tree.node("config", [&] {
      tree.set("name", text("web"));
      tree.set("vcpus", cell(1));
      tree.set("memory", cells(0xc010'0000));
      tree.set("maximum-memory", cells(0xc010'0000));
      Bytes orders = cell(18);
      for (const u32 order : {9U, 0U}) {
        const Bytes more = cell(order);
        orders.insert(orders.end(), more.begin(), more.end());
      }
      tree.set("leaf-orders", orders);
      tree.set("console", text("uart"));
      tree.set("on-poweroff", text("destroy"));
      tree.set("on-reboot", text("restart"));
      tree.set("on-crash", text("preserve"));
      tree.set("kernel-kind", text(long64 ? "linux" : "pvh"));
      tree.set("command-line", text("quiet"));
    });
    tree.node("memory-map", [&] {
      tree.node("range@0", [&] {
        tree.set("base", cells(0));
        tree.set("size", cells(0xc000'0000));
        tree.set("type", text("ram"));
      });
      tree.node("range@1", [&] {
        tree.set("base", cells(0x1'0000'0000));
        tree.set("size", cells(0x10'0000));
        tree.set("type", text("ram"));
      });
    });
    tree.node("segments", [&] {
      for (const SampleSegment& segment : segments) {
        tree.node(segment.node, [&] {
          tree.set("label", text(segment.label));
          tree.set("gpa", cells(segment.gpa));
          tree.set("memory-size", cells(segment.memory_size));
          tree.set("data-offset", cells(segment.data_offset));
          tree.set("data-size", cells(segment.data.size()));
          tree.set("data-crc32", cell(crc32(segment.data)));
        });
      }
    });
    tree.node("vcpu@0", [&] {
      tree.set("mode", text(long64 ? "long64" : "protected32"));
      tree.set("rip", cells(0x100200));
      tree.set("rsp", cells(0x9f000));
      tree.set("rbx", cells(0x1010));
      if (long64) tree.set("cr3", cells(0x2000));
      tree.set("gdt-base", cells(0x1000));
      tree.set("gdt-limit", cell(0x1f));
      tree.set("cs", cell(0x10));
      tree.set("ds", cell(0x18));
    });
  });
  Bytes image = tree.finish();
  image.resize(k_sample_size);
  for (const SampleSegment& segment : segments) {
    std::copy(segment.data.begin(), segment.data.end(), image.begin() + static_cast<std::ptrdiff_t>(segment.data_offset));
  }
  return image;
}

/// Opens the tree with room to grow, lets `edit` change it, packs it again; the data behind it stays.
Bytes edited(Bytes image, const std::function<void(void*)>& edit) {
  Bytes tree(image.size());
  must(fdt_open_into(image.data(), tree.data(), static_cast<int>(tree.size())));
  edit(tree.data());
  must(fdt_pack(tree.data()));
  std::copy_n(tree.begin(), fdt_totalsize(tree.data()), image.begin());
  return image;
}

int offset_of(const void* tree, const char* node) {
  const int offset = fdt_path_offset(tree, node);
  must(offset);
  return offset;
}
}  // namespace

Bytes cell(u32 value) {
  const u32 swapped = __builtin_bswap32(value);
  const auto* bytes = reinterpret_cast<const std::byte*>(&swapped);
  return {bytes, bytes + sizeof swapped};
}

Bytes cells(u64 value) {
  Bytes high = cell(static_cast<u32>(value >> 32));
  const Bytes low = cell(static_cast<u32>(value));
  high.insert(high.end(), low.begin(), low.end());
  return high;
}

Bytes text(std::string_view value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
  Bytes result{bytes, bytes + value.size()};
  result.push_back(std::byte{0});
  return result;
}

Bytes sample_image() { return make(false); }
Bytes sample_image64() { return make(true); }

Bytes with_property(const Bytes& image, const char* node, const char* property, const std::optional<Bytes>& value) {
  return edited(image, [&](void* tree) {
    const int offset = offset_of(tree, node);
    if (value) must(fdt_setprop(tree, offset, property, value->data(), static_cast<int>(value->size())));
    else must(fdt_delprop(tree, offset, property));
  });
}

Bytes with_node(const Bytes& image, const char* parent, const char* name) {
  return edited(image, [&](void* tree) { must(fdt_add_subnode(tree, offset_of(tree, parent), name)); });
}

Bytes without_node(const Bytes& image, const char* node) {
  return edited(image, [&](void* tree) { must(fdt_del_node(tree, offset_of(tree, node))); });
}

Bytes with_node_name(const Bytes& image, const char* node, const char* name) {
  return edited(image, [&](void* tree) { must(fdt_set_name(tree, offset_of(tree, node), name)); });
}

std::string verdict(const Bytes& image) {
  domain::Image read;
  const auto checked = domain::check_image(image, read);
  if (checked) return {};
  char buffer[256];
  BufferSink sink{buffer};
  domain::format_error(sink, checked.error());
  return std::string{sink.view()};
}
}  // namespace octavo::test
