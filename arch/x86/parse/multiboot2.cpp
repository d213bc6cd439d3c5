// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/parse/multiboot2.hpp"

#include "lib/int.hpp"

namespace octavo::arch {
namespace {
enum class Tag : u32 {
  end = 0, command_line = 1, loader_name = 2, module = 3, memory_map = 6, framebuffer = 8, elf_sections = 9, acpi_old = 14, acpi_new = 15
};

Result<Framebuffer> parse_framebuffer(Bytes tag) {
  const auto address = read_at<u64>(tag, 8);
  const auto pitch = read_at<u32>(tag, 16), width = read_at<u32>(tag, 20), height = read_at<u32>(tag, 24);
  const auto depth = read_at<u8>(tag, 28), kind = read_at<u8>(tag, 29);
  if (!address || !pitch || !width || !height || !depth || !kind) return fail(Error::corrupt);
  Framebuffer f{static_cast<FramebufferKind>(*kind), Hpa{*address}, *pitch, *width, *height, *depth};
  if (f.kind == FramebufferKind::rgb) {
    u8 fields[6];
    for (u64 i = 0; i < 6; ++i) {
      const auto field = read_at<u8>(tag, 32 + i);
      if (!field || *field > 32) return fail(Error::corrupt);
      fields[i] = *field;
    }
    f.red = {fields[0], fields[1]};
    f.green = {fields[2], fields[3]};
    f.blue = {fields[4], fields[5]};
    for (const ColorField field : {f.red, f.green, f.blue}) {
      if (field.position + field.bits > 32) return fail(Error::corrupt);
    }
  }
  const u64 cell = f.kind == FramebufferKind::ega_text ? 2 : (u64{f.bits_per_pixel} + 7) / 8;
  if (u64{f.width} * cell > f.pitch || !checked_add(*address, f.size())) return fail(Error::corrupt);
  return f;
}

Result<> parse_tag(Multiboot2Info& info, Tag type, Bytes tag) {
  switch (type) {
    case Tag::command_line: info.command_line = text_in(tag.subspan(8)); break;
    case Tag::loader_name: info.loader_name = text_in(tag.subspan(8)); break;
    case Tag::module: {
      const auto begin = read_at<u32>(tag, 8), end = read_at<u32>(tag, 12);
      if (!begin || !end || *end < *begin) return fail(Error::corrupt);
      if (info.module_count == Multiboot2Info::k_max_modules) ++info.modules_ignored;
      else info.modules[info.module_count++] = {*begin, *end, text_in(tag.subspan(16))};
      break;
    }
    case Tag::memory_map: {
      const auto size = read_at<u32>(tag, 8);
      if (!size || *size < 24 || tag.size() < 16) return fail(Error::corrupt);
      info.memory_map_entry_size = *size;
      info.memory_map = tag.subspan(16);
      break;
    }
    case Tag::framebuffer:
      // A framebuffer that makes no sense is no reason not to boot: there may be a serial line.
      if (const auto framebuffer = parse_framebuffer(tag)) info.framebuffer = *framebuffer;
      break;
    case Tag::elf_sections: {
      const auto count = read_at<u32>(tag, 8), size = read_at<u32>(tag, 12), names = read_at<u32>(tag, 16);
      if (!count || !size || !names) return fail(Error::corrupt);
      info.sections = ElfSectionHeaders{tag.subspan(20), *count, *size, *names};
      break;
    }
    case Tag::acpi_old: if (info.rsdp.empty()) info.rsdp = tag.subspan(8); break;
    case Tag::acpi_new: info.rsdp = tag.subspan(8); break;
    case Tag::end: break;
  }
  return {};
}
}  // namespace

Result<Multiboot2Info> parse_multiboot2(Bytes structure) {
  const auto total = read_at<u32>(structure, 0);
  if (!total || *total > structure.size()) return fail(Error::corrupt);
  const Bytes all = structure.first(*total);
  Multiboot2Info info;
  for (u64 at = 8;;) {
    const auto type = read_at<u32>(all, at), size = read_at<u32>(all, at + 4);
    if (!type || !size || *size < 8) return fail(Error::corrupt);
    const auto tag = slice(all, at, *size);
    if (!tag) return fail(Error::corrupt);
    if (static_cast<Tag>(*type) == Tag::end) break;
    OCTAVO_TRY(parse_tag(info, static_cast<Tag>(*type), *tag));
    at = align_up(at + *size, 8);
  }
  if (info.memory_map.empty()) return fail(Error::corrupt);
  return info;
}

usize memory_map_size(const Multiboot2Info& info) { return info.memory_map.size() / info.memory_map_entry_size; }

MemoryMapEntry memory_map_entry(const Multiboot2Info& info, usize index) {
  const u64 at = u64{index} * info.memory_map_entry_size;
  return {read_at<u64>(info.memory_map, at).value_or(0), read_at<u64>(info.memory_map, at + 8).value_or(0),
          read_at<u32>(info.memory_map, at + 16).value_or(0)};
}

std::optional<ElfSection> elf_section(const ElfSectionHeaders& headers, u32 index) {
  if (index >= headers.count || headers.entry_size < 64) return std::nullopt;
  const auto header = slice(headers.headers, u64{index} * headers.entry_size, 64);
  if (!header) return std::nullopt;
  return ElfSection{*read_at<u32>(*header, 4), *read_at<u32>(*header, 40), *read_at<u64>(*header, 16), *read_at<u64>(*header, 32)};
}
}  // namespace octavo::arch
