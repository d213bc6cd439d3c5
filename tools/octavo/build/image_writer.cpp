// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/image_writer.hpp"

#include <libfdt.h>

#include <algorithm>

#include "lib/crc32.hpp"

namespace octavo::build {
namespace {

/// libfdt's sequential writer, remembering the first error.
class TreeWriter {
 public:
  TreeWriter() : buffer_(OCTAVO_IMAGE_MAX_TREE_SIZE) {
    note(fdt_create(buffer_.data(), static_cast<int>(buffer_.size())));
    note(fdt_finish_reservemap(buffer_.data()));
  }

  void node(const std::string& name, auto&& content) {
    note(fdt_begin_node(buffer_.data(), name.c_str()));
    content();
    note(fdt_end_node(buffer_.data()));
  }
  void text(const char* property, std::string_view value) {
    const std::string terminated{value};
    note(fdt_property(buffer_.data(), property, terminated.c_str(), static_cast<int>(terminated.size() + 1)));
  }
  void number32(const char* property, u32 value) { note(fdt_property_u32(buffer_.data(), property, value)); }
  void number64(const char* property, u64 value) { note(fdt_property_u64(buffer_.data(), property, value)); }
  void cells(const char* property, const std::vector<u32>& values) {
    std::vector<fdt32_t> swapped;
    for (const u32 value : values) swapped.push_back(cpu_to_fdt32(value));
    note(fdt_property(buffer_.data(), property, swapped.data(), static_cast<int>(swapped.size() * sizeof(fdt32_t))));
  }

  Outcome<Bytes> finish() {
    note(fdt_finish(buffer_.data()));
    if (error_ == -FDT_ERR_NOSPACE) {
      // Only the command line has no bound of its own.
      return failure_at("command_line", "does not fit into the image's header, which has {} KiB", OCTAVO_IMAGE_MAX_TREE_SIZE >> 10);
    }
    if (error_ != 0) return failure("the image's header cannot be written: {}", fdt_strerror(error_));
    buffer_.resize(fdt_totalsize(buffer_.data()));
    return std::move(buffer_);
  }

 private:
  void note(int error) {
    if (error_ == 0) error_ = error;
  }
  Bytes buffer_;
  int error_ = 0;
};

/// A segment's data without the zeros at its end: the guest's memory is zero anyway, so nobody need carry, check and copy them.
ByteView stored_data(const Segment& segment) {
  const auto last = std::find_if(segment.data.rbegin(), segment.data.rend(), [](std::byte b) { return b != std::byte{0}; });
  return ByteView{segment.data}.first(static_cast<usize>(segment.data.rend() - last));
}

void write_config(TreeWriter& tree, const DomainPlan& plan) {
  const DomainConfig& config = plan.config;
  tree.text("name", config.name);
  tree.number32("vcpus", config.vcpus);
  tree.number64("memory", config.memory);
  tree.number64("maximum-memory", config.maximum_memory);
  std::vector<u32> orders;
  if (config.leaf_1g) orders.push_back(k_order_1g.value());
  if (config.leaf_2m) orders.push_back(k_order_2m.value());
  orders.push_back(k_order_4k.value());
  tree.cells("leaf-orders", orders);
  tree.text("console", to_string(config.console));
  tree.text("on-poweroff", to_string(config.on_poweroff));
  tree.text("on-reboot", to_string(config.on_reboot));
  tree.text("on-crash", to_string(config.on_crash));
  tree.text("kernel-kind", to_string(plan.kind));
  tree.text("command-line", config.command_line);
}

void write_segment(TreeWriter& tree, const Segment& segment, u64 offset, u32 crc) {
  tree.text("label", segment.label);
  tree.number64("gpa", segment.gpa);
  tree.number64("memory-size", segment.memory_size);
  tree.number64("data-offset", offset);
  tree.number64("data-size", stored_data(segment).size());
  tree.number32("data-crc32", crc);
}

void write_registers(TreeWriter& tree, const domain::BootRegisters& registers) {
  tree.text("mode", to_string(registers.mode));
  tree.number64("rip", registers.rip);
  tree.number64("rsp", registers.rsp);
  const std::pair<const char*, u64> optional[] = {{"rax", registers.rax}, {"rbx", registers.rbx}, {"rcx", registers.rcx},
                                                  {"rdx", registers.rdx}, {"rsi", registers.rsi}, {"rdi", registers.rdi},
                                                  {"rbp", registers.rbp}};
  for (const auto& [name, value] : optional) {
    if (value != 0) tree.number64(name, value);
  }
  if (registers.mode == domain::BootMode::long64) tree.number64("cr3", registers.cr3);
  tree.number64("gdt-base", registers.gdt_base);
  tree.number32("gdt-limit", registers.gdt_limit);
  tree.number32("cs", registers.cs);
  tree.number32("ds", registers.ds);
}

/// Where the data of each segment lies, and last the size of the file.
std::vector<u64> data_offsets(const DomainPlan& plan, u64 tree_size) {
  std::vector<u64> offsets{align_up(tree_size, k_page_size)};
  for (const Segment& segment : plan.segments) offsets.push_back(align_up(offsets.back() + stored_data(segment).size(), k_page_size));
  return offsets;
}

Outcome<Bytes> write_tree(const DomainPlan& plan, const std::vector<u64>& offsets, const std::vector<u32>& crcs) {
  TreeWriter tree;
  tree.node("", [&] {
    tree.text("compatible", OCTAVO_IMAGE_COMPATIBLE);
    tree.number32("octavo,version", OCTAVO_IMAGE_VERSION);
    tree.number64("image-size", offsets.back());
    tree.text("generator", "octavo " OCTAVO_VERSION);
    tree.node("config", [&] { write_config(tree, plan); });
    tree.node("memory-map", [&] {
      for (usize i = 0; i < plan.ranges.size(); ++i) {
        tree.node(fmt::format("range@{:x}", i), [&] {
          tree.number64("base", plan.ranges[i].base);
          tree.number64("size", plan.ranges[i].size);
          tree.text("type", "ram");
        });
      }
    });
    tree.node("segments", [&] {
      for (usize i = 0; i < plan.segments.size(); ++i) {
        tree.node(fmt::format("segment@{:x}", i), [&] { write_segment(tree, plan.segments[i], offsets[i], crcs[i]); });
      }
    });
    tree.node("vcpu@0", [&] { write_registers(tree, plan.registers); });
  });
  return tree.finish();
}
}  // namespace

Outcome<Bytes> write_image(const DomainPlan& plan) {
  std::vector<u32> crcs;
  for (const Segment& segment : plan.segments) crcs.push_back(crc32(stored_data(segment)));
  // Numbers have a fixed width, so a draft has the size of the final tree.
  const Bytes draft = OCTAVO_TRY(write_tree(plan, data_offsets(plan, 0), crcs));
  const std::vector<u64> offsets = data_offsets(plan, draft.size());
  Bytes image = OCTAVO_TRY(write_tree(plan, offsets, crcs));
  image.resize(offsets.back());
  for (usize i = 0; i < plan.segments.size(); ++i) put_bytes(image, offsets[i], stored_data(plan.segments[i]));
  return image;
}
}  // namespace octavo::build
