// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/inspect.hpp"

#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

using domain::BootRegisters;
using domain::Image;
using domain::ImageConfig;

std::vector<std::string> page_sizes(const ImageConfig& config) {
  std::vector<std::string> sizes;
  if (config.leaf_1g) sizes.emplace_back("1G");
  if (config.leaf_2m) sizes.emplace_back("2M");
  sizes.emplace_back("4K");
  return sizes;
}

std::vector<std::pair<std::string_view, u64>> numbers(const BootRegisters& r) {
  std::vector<std::pair<std::string_view, u64>> list{{"rip", r.rip}, {"rsp", r.rsp}, {"rax", r.rax}, {"rbx", r.rbx},
                                                     {"rcx", r.rcx}, {"rdx", r.rdx}, {"rsi", r.rsi}, {"rdi", r.rdi},
                                                     {"rbp", r.rbp}};
  if (r.mode == domain::BootMode::long64) list.emplace_back("cr3", r.cr3);
  if (r.gdt_limit != 0) {
    list.emplace_back("gdt_base", r.gdt_base);
    list.emplace_back("gdt_limit", r.gdt_limit);
  }
  list.emplace_back("cs", r.cs);
  list.emplace_back("ds", r.ds);
  return list;
}
}  // namespace

Outcome<> inspect_image(ByteView bytes, Image& image) {
  auto checked = domain::check_image(bytes, image);
  if (checked) checked = domain::check_all_crcs(image);
  if (checked) return {};
  char text[256];
  BufferSink sink{text};
  format_error(sink, checked.error());
  return failure("{}", sink.view());
}

nlohmann::ordered_json image_json(const Image& image) {
  const ImageConfig& config = image.config;
  nlohmann::ordered_json json;
  json["generator"] = image.generator;
  json["config"] = {{"name", config.name},
                    {"vcpus", config.vcpus},
                    {"memory", config.memory},
                    {"maximum_memory", config.maximum_memory},
                    {"page_sizes", page_sizes(config)},
                    {"kind", to_string(config.kernel_kind)},
                    {"command_line", config.command_line},
                    {"console", to_string(config.console)},
                    {"on_poweroff", to_string(config.on_poweroff)},
                    {"on_reboot", to_string(config.on_reboot)},
                    {"on_crash", to_string(config.on_crash)}};
  json["memory_map"] = nlohmann::ordered_json::array();
  for (const domain::ImageRange& range : image.ranges()) {
    json["memory_map"].push_back({{"base", range.base.value()}, {"size", range.size}, {"type", "ram"}});
  }
  json["segments"] = nlohmann::ordered_json::array();
  for (const domain::ImageSegment& segment : image.segments()) {
    json["segments"].push_back({{"label", segment.label},
                                {"gpa", segment.gpa.value()},
                                {"memory_size", segment.memory_size},
                                {"data_size", segment.data.size()},
                                {"data_crc32", segment.crc32}});
  }
  json["vcpu"]["mode"] = to_string(image.registers.mode);
  for (const auto& [name, value] : numbers(image.registers)) json["vcpu"][std::string{name}] = value;
  return json;
}

std::string image_table(const Image& image) {
  const ImageConfig& config = image.config;
  std::string out;
  const auto line = [&]<class... A>(fmt::format_string<A...> pattern, A&&... arguments) {
    fmt::format_to(std::back_inserter(out), pattern, std::forward<A>(arguments)...);
    out += '\n';
  };
  line("domain {}, {} vCPU{}, {} of memory (at most {}) in pages of {}", config.name, config.vcpus, config.vcpus == 1 ? "" : "s",
       exact_size(config.memory), exact_size(config.maximum_memory), fmt::join(page_sizes(config), ", "));
  line("kernel {}, console {}", to_string(config.kernel_kind), to_string(config.console));
  line("on poweroff {}, on reboot {}, on crash {}", to_string(config.on_poweroff), to_string(config.on_reboot),
       to_string(config.on_crash));
  line("command line: {}", config.command_line);
  line("\nmemory map");
  for (const domain::ImageRange& range : image.ranges()) {
    line("  {:#014x}-{:#014x}  {:>7}  ram", range.base.value(), range.base.value() + range.size, rounded_size(range.size));
  }
  line("\nsegments                        in memory  in file  CRC-32");
  for (const domain::ImageSegment& segment : image.segments()) {
    line("  {:#014x}  {:<15} {:>7}  {:>7}  {:08x}", segment.gpa.value(), segment.label, rounded_size(segment.memory_size),
         rounded_size(segment.data.size()), segment.crc32);
  }
  line("\nvcpu 0 begins in {}", to_string(image.registers.mode));
  for (const auto& [name, value] : numbers(image.registers)) {
    if (value != 0) line("  {:<9} {:#x}", name, value);
  }
  return out;
}
}  // namespace octavo::build
