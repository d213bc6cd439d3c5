// SPDX-License-Identifier: Apache-2.0
// The information structure of a Multiboot2 boot loader (specification 2.0, section 3), checked and taken apart. Views point into
// the structure; boot copies what it keeps. Nothing outside the structure is read.
#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "arch/x86/parse/bytes.hpp"
#include "lib/address.hpp"
#include "lib/error.hpp"

namespace octavo::arch {

enum class FramebufferKind : u8 { indexed = 0, rgb = 1, ega_text = 2 };
struct ColorField {
  u8 position = 0, bits = 0;
};
struct Framebuffer {
  FramebufferKind kind = FramebufferKind::ega_text;
  Hpa base{0xb8000};
  u32 pitch = 160, width = 80, height = 25;  ///< bytes; pixels, or characters of EGA text
  u8 bits_per_pixel = 16;
  ColorField red{}, green{}, blue{};
  [[nodiscard]] u64 size() const { return u64{pitch} * height; }
};

struct Multiboot2Module {
  u32 begin = 0, end = 0;  ///< machine addresses
  std::string_view command_line;
};

/// Where the loader put the ELF section headers; sections that are not part of the image it has loaded to sh_addr.
struct ElfSectionHeaders {
  Bytes headers;
  u32 count = 0, entry_size = 0, names_index = 0;
};

struct Multiboot2Info {
  static constexpr usize k_max_modules = 64;
  std::string_view command_line, loader_name;
  Bytes memory_map;                ///< entries of memory_map_entry_size bytes
  u32 memory_map_entry_size = 0;
  std::array<Multiboot2Module, k_max_modules> modules{};
  usize module_count = 0, modules_ignored = 0;
  std::optional<Framebuffer> framebuffer;
  Bytes rsdp;                      ///< a copy of ACPI's root pointer, new in preference to old; empty if none
  std::optional<ElfSectionHeaders> sections;
};

enum class MemoryKind : u32 { available = 1 };
struct MemoryMapEntry {
  u64 base = 0, size = 0;
  u32 kind = 0;
};

/// `structure` begins with its total size. corrupt: a size that contradicts itself, or no memory map.
[[nodiscard]] Result<Multiboot2Info> parse_multiboot2(Bytes structure);

[[nodiscard]] usize memory_map_size(const Multiboot2Info& info);
[[nodiscard]] MemoryMapEntry memory_map_entry(const Multiboot2Info& info, usize index);

/// Elf64_Shdr, as far as symbols need it.
struct ElfSection {
  u32 type = 0, link = 0;
  u64 address = 0, size = 0;
};
[[nodiscard]] std::optional<ElfSection> elf_section(const ElfSectionHeaders& headers, u32 index);
}  // namespace octavo::arch
