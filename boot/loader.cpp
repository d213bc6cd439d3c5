// SPDX-License-Identifier: Apache-2.0
#include "boot/loader.hpp"

#include <algorithm>
#include <cstring>

#include "arch/x86/layout.hpp"
#include "arch/x86/parse/range_set.hpp"
#include "arch/x86/platform.hpp"
#include "arch/x86/symbols.hpp"
#include "lib/log.hpp"

namespace octavo::boot {
namespace {
using arch::panic;

constexpr usize k_max_ranges = 256, k_max_modules = arch::Multiboot2Info::k_max_modules;

/// Text of the loader's in storage of ours.
template <usize size>
class Text {
 public:
  void set(std::string_view text, std::string_view what) {
    used_ = std::min(text.size(), size);
    std::memcpy(text_, text.data(), used_);
    if (used_ < text.size()) log::warning("{} is longer than {} characters; the rest is ignored", what, size);
  }
  [[nodiscard]] std::string_view view() const { return {text_, used_}; }

 private:
  char text_[size] = {};
  usize used_ = 0;
};

constinit Text<2048> command_line;
constinit Text<64> loader_name;
constinit Text<64> module_names[k_max_modules];
constinit arch::BootModule modules[k_max_modules];
constinit usize module_count = 0;
constinit arch::RangeSet<k_max_ranges> all_ram, free_ram;
constinit std::optional<arch::Framebuffer> screen;
constinit std::optional<arch::ElfSectionHeaders> sections;
constinit u8 root_pointer[36] = {};
constinit usize root_pointer_size = 0;

void must(Result<> result) {
  if (!result) panic("the firmware's memory map has too many pieces");
}

arch::Bytes at(Hpa base, u64 size) { return {static_cast<const u8*>(arch::direct_map(base)), size}; }

void read_memory_map(const arch::Multiboot2Info& info) {
  const usize count = arch::memory_map_size(info);
  for (const bool available : {true, false}) {  // where entries overlap, the one that is not RAM wins
    for (usize i = 0; i < count; ++i) {
      const arch::MemoryMapEntry entry = arch::memory_map_entry(info, i);
      if ((entry.kind == static_cast<u32>(arch::MemoryKind::available)) != available) continue;
      const u64 end = std::min(checked_add(entry.base, entry.size).value_or(arch::k_direct_map_size), arch::k_direct_map_size);
      if (available) must(all_ram.add(align_up(entry.base, k_page_size), align_down(end, k_page_size)));
      else must(all_ram.remove(align_down(entry.base, k_page_size), align_up(end, k_page_size)));
    }
  }
  free_ram = all_ram;
}

void read_modules(const arch::Multiboot2Info& info) {
  if (info.modules_ignored != 0) log::warning("{} modules more than the {} that fit are ignored", info.modules_ignored, k_max_modules);
  for (usize i = 0; i < info.module_count; ++i) {
    const arch::Multiboot2Module& module = info.modules[i];
    const u64 size = module.end - module.begin;
    const std::string_view name = module.command_line.substr(0, module.command_line.find(' '));
    if (module.begin % k_page_size != 0 || !all_ram.contains(module.begin, align_up(size, k_page_size))) {
      log::error("module {} ({}) at {:x} is not page-aligned in RAM; it is ignored", i, name, module.begin);
      continue;
    }
    keep(Hpa{module.begin}, size);
    module_names[module_count].set(name, "a module's name");
    modules[module_count] = {Hpa{module.begin}, size, module_names[module_count].view()};
    ++module_count;
  }
}
}  // namespace

void keep(Hpa base, u64 size) { must(free_ram.remove(align_down(base.value(), k_page_size), align_up(base.value() + size, k_page_size))); }

void read_loader_information(Hpa structure) {
  constexpr u64 longest = 1 << 20;
  const auto size = arch::read_at<u32>(at(structure, 4), 0);
  if (!size || *size > longest || !range_within(structure.value(), *size, arch::k_boot_mapped)) panic("the boot loader's information is out of reach");
  const auto info = arch::parse_multiboot2(at(structure, *size));
  if (!info) panic("the boot loader's information contradicts itself, or has no memory map");
  command_line.set(info->command_line, "the command line");
  loader_name.set(info->loader_name, "the boot loader's name");
  screen = info->framebuffer;
  sections = info->sections;
  root_pointer_size = std::min(info->rsdp.size(), sizeof root_pointer);
  std::memcpy(root_pointer, info->rsdp.data(), root_pointer_size);
  read_memory_map(*info);
  const u64 image = reinterpret_cast<u64>(arch::octavo_image_physical);
  const u64 image_end = reinterpret_cast<u64>(arch::octavo_data_end) - arch::k_image_offset;
  if (!all_ram.contains(image, image_end - image)) panic("the boot loader put the hypervisor where the memory map has no RAM");
  keep(Hpa{image}, image_end - image);
  keep(structure, *size);  // `sections` points into it
  read_modules(*info);
}

void keep_symbols() {
  if (!sections) return;
  constexpr u32 symbol_table = 2;
  for (u32 i = 0; i < sections->count; ++i) {
    const auto section = arch::elf_section(*sections, i);
    if (!section || section->type != symbol_table) continue;
    const auto strings = arch::elf_section(*sections, section->link);
    if (!strings || strings->size == 0 || section->address % 8 != 0) return;
    for (const arch::ElfSection& part : {*section, *strings}) {
      if (part.address == 0 || !all_ram.contains(part.address, part.size)) return;
    }
    keep(Hpa{section->address}, section->size);
    keep(Hpa{strings->address}, strings->size);
    arch::set_symbols({static_cast<const arch::ElfSymbol*>(arch::direct_map(Hpa{section->address})), section->size / sizeof(arch::ElfSymbol)},
                      {static_cast<const char*>(arch::direct_map(Hpa{strings->address})), strings->size});
    return;
  }
}

arch::BootInfo information() { return {all_ram.ranges(), free_ram.ranges(), {modules, module_count}, command_line.view(), loader_name.view()}; }
std::optional<arch::Framebuffer> framebuffer() { return screen; }
arch::Bytes acpi_root_pointer() { return {root_pointer, root_pointer_size}; }
u64 ram_bytes() { return all_ram.bytes(); }
}  // namespace octavo::boot
