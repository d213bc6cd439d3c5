// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "arch/x86/parse/multiboot2.hpp"
#include "tests/unit/arch/bytes_builder.hpp"

using namespace octavo;
using namespace octavo::arch;
using test::Builder;
using test::Cut;

namespace {
class Structure {
 public:
  Structure() { b.zeros(8); }
  Structure& tag(u32 type, const Builder& content) {
    b.put<u32>(type).put<u32>(static_cast<u32>(content.bytes.size() + 8));
    b.bytes.insert(b.bytes.end(), content.bytes.begin(), content.bytes.end());
    b.zeros((8 - b.bytes.size() % 8) % 8);
    return *this;
  }
  Builder& finish() {
    b.put<u32>(0).put<u32>(8);
    return b.set<u32>(0, static_cast<u32>(b.bytes.size()));
  }
  Builder b;
};

Builder text(std::string_view text) {
  Builder b;
  b.text(text).put<u8>(0);
  return b;
}
Builder memory_map() {
  Builder b;
  b.put<u32>(24).put<u32>(0);
  b.put<u64>(0).put<u64>(0x9f000).put<u32>(1).put<u32>(0);
  b.put<u64>(0x100000).put<u64>(0x1ff00000).put<u32>(1).put<u32>(0);
  b.put<u64>(0xfffc0000).put<u64>(0x40000).put<u32>(2).put<u32>(0);
  return b;
}
Builder framebuffer(u32 width = 1024, u32 pitch = 4096) {
  Builder b;
  b.put<u64>(0xfd000000).put<u32>(pitch).put<u32>(width).put<u32>(768).put<u8>(32).put<u8>(1).put<u16>(0);
  b.put<u8>(16).put<u8>(8).put<u8>(8).put<u8>(8).put<u8>(0).put<u8>(8);
  return b;
}
Builder module(u32 begin, u32 end, std::string_view name) {
  Builder b;
  b.put<u32>(begin).put<u32>(end).text(name).put<u8>(0);
  return b;
}
Structure whole() {
  Structure s;
  s.tag(1, text("loglevel=debug")).tag(2, text("GRUB 2.06")).tag(3, module(0x200000, 0x201234, "web extra")).tag(99, text("unknown"));
  s.tag(6, memory_map()).tag(8, framebuffer()).tag(14, text("old pointer")).tag(15, text("new pointer")).tag(14, text("old pointer"));
  return s;
}
}  // namespace

TEST_CASE("multiboot2: everything that a loader says") {
  Structure s = whole();
  const auto info = parse_multiboot2(s.finish().view());
  REQUIRE(info);
  CHECK(info->command_line == "loglevel=debug");
  CHECK(info->loader_name == "GRUB 2.06");
  REQUIRE(info->module_count == 1);
  CHECK(info->modules[0].begin == 0x200000);
  CHECK(info->modules[0].end == 0x201234);
  CHECK(info->modules[0].command_line == "web extra");
  REQUIRE(memory_map_size(*info) == 3);
  CHECK(memory_map_entry(*info, 1).base == 0x100000);
  CHECK(memory_map_entry(*info, 2).kind == 2);
  REQUIRE(info->framebuffer);
  CHECK(info->framebuffer->kind == FramebufferKind::rgb);
  CHECK(info->framebuffer->red.position == 16);
  CHECK(info->framebuffer->size() == u64{4096} * 768);
  CHECK(text_in(info->rsdp) == "new pointer");
}

TEST_CASE("multiboot2: every truncation is corrupt, whatever the size field says") {
  Structure s = whole();
  const Builder& b = s.finish();
  for (usize size = 0; size < b.bytes.size(); ++size) {
    CHECK(!parse_multiboot2(Cut(b.view(), size).view()));
    if (size < 4) continue;
    Builder lying = b;
    lying.set<u32>(0, static_cast<u32>(size));
    CHECK(!parse_multiboot2(Cut(lying.view(), size).view()));
  }
}

TEST_CASE("multiboot2: any one wrong byte does no harm") {
  Structure s = whole();
  const Builder b = s.finish();
  for (usize at = 0; at < b.bytes.size(); ++at) {
    for (const u8 flip : {u8{0x01}, u8{0x80}, u8{0xff}}) {
      Builder damaged = b;
      damaged.bytes[at] = static_cast<u8>(damaged.bytes[at] ^ flip);
      const Cut exact(damaged.view(), damaged.bytes.size());
      const auto info = parse_multiboot2(exact.view());
      if (!info) continue;
      CHECK(info->module_count <= Multiboot2Info::k_max_modules);
      for (usize i = 0; i < memory_map_size(*info); ++i) (void)memory_map_entry(*info, i);
    }
  }
}

TEST_CASE("multiboot2: no memory map, entries below 24 bytes, and a module that ends before it begins are corrupt") {
  Structure none;
  none.tag(1, text("x"));
  CHECK(!parse_multiboot2(none.finish().view()));
  Structure small;
  small.tag(6, memory_map().set<u32>(0, 20));
  CHECK(!parse_multiboot2(small.finish().view()));
  Structure backwards;
  backwards.tag(6, memory_map()).tag(3, module(0x2000, 0x1000, "m"));
  CHECK(!parse_multiboot2(backwards.finish().view()));
}

TEST_CASE("multiboot2: a framebuffer that cannot be is left out, the rest counts") {
  Structure s;
  s.tag(6, memory_map()).tag(8, framebuffer(2048, 4096));
  const auto info = parse_multiboot2(s.finish().view());
  REQUIRE(info);
  CHECK(!info->framebuffer);
}

TEST_CASE("multiboot2: modules beyond the limit are counted") {
  Structure s;
  s.tag(6, memory_map());
  for (u32 i = 0; i < Multiboot2Info::k_max_modules + 3; ++i) s.tag(3, module(i << 12, (i + 1) << 12, "m"));
  const auto info = parse_multiboot2(s.finish().view());
  REQUIRE(info);
  CHECK(info->module_count == Multiboot2Info::k_max_modules);
  CHECK(info->modules_ignored == 3);
}

TEST_CASE("multiboot2: ELF sections are read within the tag only") {
  Builder headers;
  headers.put<u32>(2).put<u32>(64).put<u32>(0).zeros(64);
  Builder symtab;
  symtab.put<u32>(1).put<u32>(2).put<u64>(0).put<u64>(0x300000).put<u64>(0).put<u64>(0x1200).put<u32>(7).put<u32>(0).put<u64>(8).put<u64>(24);
  headers.bytes.insert(headers.bytes.end(), symtab.bytes.begin(), symtab.bytes.end());
  Structure s;
  s.tag(6, memory_map()).tag(9, headers);
  const auto info = parse_multiboot2(s.finish().view());
  REQUIRE(info);
  REQUIRE(info->sections);
  const auto section = elf_section(*info->sections, 1);
  REQUIRE(section);
  CHECK(section->type == 2);
  CHECK(section->address == 0x300000);
  CHECK(section->size == 0x1200);
  CHECK(section->link == 7);
  CHECK(!elf_section(*info->sections, 2));
  ElfSectionHeaders lying = *info->sections;
  lying.count = 1000;
  CHECK(!elf_section(lying, 2));
  lying.entry_size = 8;
  CHECK(!elf_section(lying, 0));
}
