// SPDX-License-Identifier: Apache-2.0
#include "domain/image.hpp"

#include <catch2/catch.hpp>

#include "lib/crc32.hpp"
#include "tests/unit/image/sample_image.hpp"

using namespace octavo;
using namespace octavo::domain;
using namespace octavo::test;

TEST_CASE("image: a right one is read in full") {
  const Bytes bytes = sample_image();
  Image image;
  REQUIRE(verdict(bytes).empty());
  REQUIRE(check_image(bytes, image));
  CHECK(image.generator == "octavo test");
  CHECK(image.config.name == "web");
  CHECK(image.config.vcpus == 1);
  CHECK(image.config.memory == 0xc010'0000);
  CHECK(image.config.maximum_memory == 0xc010'0000);
  CHECK(image.config.leaf_1g);
  CHECK(image.config.leaf_2m);
  CHECK(image.config.console == Console::uart);
  CHECK(image.config.on_poweroff == Policy::destroy);
  CHECK(image.config.on_reboot == Policy::restart);
  CHECK(image.config.on_crash == Policy::preserve);
  CHECK(image.config.kernel_kind == KernelKind::pvh);
  CHECK(image.config.command_line == "quiet");
  REQUIRE(image.ranges().size() == 2);
  CHECK(image.ranges()[1].base == Gpa{0x1'0000'0000});
  CHECK(image.ranges()[1].size == 0x10'0000);
  REQUIRE(image.segments().size() == 3);
  CHECK(image.segments()[1].label == "kernel");
  CHECK(image.segments()[1].gpa == Gpa{0x100000});
  CHECK(image.segments()[1].memory_size == 0x3000);
  CHECK(image.segments()[1].data.data() == bytes.data() + 0x3000);
  CHECK(image.segments()[1].data.size() == 0x1800);
  CHECK(image.segments()[2].data.empty());
  CHECK(image.registers.mode == BootMode::protected32);
  CHECK(image.registers.rip == 0x100200);
  CHECK(image.registers.rbx == 0x1010);
  CHECK(image.registers.rax == 0);
  CHECK(image.registers.gdt_base == 0x1000);
  CHECK(image.registers.gdt_limit == 0x1f);
  CHECK(image.registers.cs == 0x10);
  CHECK(image.registers.ds == 0x18);
  CHECK(check_all_crcs(image));
}

TEST_CASE("image: long64 has page tables, and absent selectors have their defaults") {
  const Bytes bytes = with_property(with_property(sample_image64(), "/vcpu@0", "cs", {}), "/vcpu@0", "ds", {});
  Image image;
  REQUIRE(check_image(bytes, image));
  CHECK(image.registers.mode == BootMode::long64);
  CHECK(image.registers.cr3 == 0x2000);
  CHECK(image.registers.cs == 0x10);
  CHECK(image.registers.ds == 0x18);
}

TEST_CASE("image: reading one image leaves nothing behind for the next") {
  const Bytes long64 = sample_image64();
  Image image;
  REQUIRE(check_image(long64, image));
  const Bytes bytes = with_property(with_property(sample_image(), "/vcpu@0", "gdt-base", {}), "/vcpu@0", "gdt-limit", {});
  REQUIRE(check_image(bytes, image));
  CHECK(image.segments().size() == 3);
  CHECK(image.ranges().size() == 2);
  CHECK(image.registers.cr3 == 0);
  CHECK(image.registers.gdt_limit == 0);
}

TEST_CASE("image: what the format does not name is ignored") {
  CHECK(verdict(with_property(sample_image(), "/config", "colour", text("blue"))).empty());
  CHECK(verdict(with_node(sample_image(), "/", "notes")).empty());
  CHECK(verdict(with_property(sample_image(), "/", "generator", {})).empty());
}

namespace {

struct Mutation {
  const char* node;
  const char* property;
  std::optional<Bytes> value;  // nothing: the property is deleted
  const char* verdict;
};

Bytes orders(std::initializer_list<u32> list) {
  Bytes bytes;
  for (const u32 order : list) {
    const Bytes more = cell(order);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  return bytes;
}

Bytes unterminated(std::string_view value) {
  Bytes bytes = text(value);
  bytes.pop_back();
  return bytes;
}

void check_mutations(const Bytes& sample, const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    INFO(mutation.node << " " << mutation.property << ": " << mutation.verdict);
    CHECK(verdict(with_property(sample, mutation.node, mutation.property, mutation.value)) == mutation.verdict);
  }
}

std::string hexadecimal(u32 value) {
  char buffer[8];
  BufferSink sink{buffer};
  format(sink, "{:x}", value);
  return std::string{sink.view()};
}

constexpr const char* k_name = "not 1 to 31 of a-z A-Z 0-9 . _ -";
const std::string k_long_name(32, 'a');
}  // namespace

TEST_CASE("image: every field of the root is checked") {
  check_mutations(sample_image(), {
      {"/", "compatible", {}, "compatible: missing"},
      {"/", "compatible", text("octavo,other"), "compatible: not a domain image"},
      {"/", "octavo,version", {}, "octavo,version: missing"},
      {"/", "octavo,version", cell(2), "octavo,version: a version of the format that this Octavo does not know"},
      {"/", "octavo,version", cells(1), "octavo,version: not one 32-bit number"},
      {"/", "image-size", {}, "image-size: missing"},
      {"/", "image-size", cell(0x5000), "image-size: not one 64-bit number"},
      {"/", "image-size", cells(0x6000), "image-size: the image is truncated"},
      {"/", "image-size", cells(0x4000), "image-size: the image is longer than it says"},
      {"/", "image-size", cells(~u64{0}), "image-size: the image is truncated"},
      {"/", "generator", text("\033[2J"), "generator: a control character"},
  });
}

TEST_CASE("image: every field of config is checked") {
  const std::string name = std::string{"config: name: "} + k_name;
  check_mutations(sample_image(), {
      {"/config", "name", {}, "config: name: missing"},
      {"/config", "name", text(""), name.c_str()},
      {"/config", "name", text(k_long_name), name.c_str()},
      {"/config", "name", text("a b"), name.c_str()},
      {"/config", "name", Bytes{}, "config: name: not a text"},
      {"/config", "name", unterminated("web"), "config: name: not one NUL-terminated text"},
      {"/config", "name", text(std::string_view{"a\0b", 3}), "config: name: not one NUL-terminated text"},
      {"/config", "vcpus", {}, "config: vcpus: missing"},
      {"/config", "vcpus", cell(0), "config: vcpus: 0"},
      {"/config", "vcpus", cell(2), "config: vcpus: more than this version of Octavo supports"},
      {"/config", "vcpus", Bytes(3), "config: vcpus: not a list of 32-bit numbers"},
      {"/config", "memory", {}, "config: memory: missing"},
      {"/config", "memory", cells(0xc010'0001), "config: memory: not a multiple of 4096"},
      {"/config", "memory", cells(0xf'f000), "config: memory: less than 1 MiB"},
      {"/config", "memory", cells(0xc010'1000), "config: memory: above maximum-memory"},
      {"/config", "maximum-memory", {}, "config: maximum-memory: missing"},
      {"/config", "maximum-memory", cells(0), "config: memory: above maximum-memory"},
      {"/config", "maximum-memory", cells(~u64{0}), "config: maximum-memory: not a multiple of 4096"},
      {"/config", "maximum-memory", cells(0xc010'1000), "memory-map: the sum of all ranges is not maximum-memory"},
      {"/config", "leaf-orders", {}, "config: leaf-orders: missing"},
      {"/config", "leaf-orders", Bytes{}, "config: leaf-orders: not one to three orders that end with 0"},
      {"/config", "leaf-orders", orders({18, 9}), "config: leaf-orders: not one to three orders that end with 0"},
      {"/config", "leaf-orders", orders({18, 9, 9, 0}), "config: leaf-orders: not one to three orders that end with 0"},
      {"/config", "leaf-orders", orders({9, 18, 0}), "config: leaf-orders: not in descending order"},
      {"/config", "leaf-orders", orders({9, 9, 0}), "config: leaf-orders: not in descending order"},
      {"/config", "leaf-orders", orders({18, 0}), "config: leaf-orders: 18 without 9"},
      {"/config", "leaf-orders", orders({10, 0}), "config: leaf-orders: an order that is not 18, 9 or 0"},
      {"/config", "leaf-orders", orders({0, 0}), "config: leaf-orders: not in descending order"},
      {"/config", "console", {}, "config: console: missing"},
      {"/config", "console", text("vga"), "config: console: not one of the words that are legal here"},
      {"/config", "on-poweroff", {}, "config: on-poweroff: missing"},
      {"/config", "on-poweroff", text("preserve"), "config: on-poweroff: not one of the words that are legal here"},
      {"/config", "on-reboot", text("preserve"), "config: on-reboot: not one of the words that are legal here"},
      {"/config", "on-crash", text("explode"), "config: on-crash: not one of the words that are legal here"},
      {"/config", "kernel-kind", text("zImage"), "config: kernel-kind: not one of the words that are legal here"},
      {"/config", "command-line", {}, "config: command-line: missing"},
      {"/config", "command-line", text("a\nb"), "config: command-line: a control character"},
  });
}

TEST_CASE("image: every field of a range is checked") {
  const char* const first = "/memory-map/range@0";
  const char* const second = "/memory-map/range@1";
  check_mutations(sample_image(), {
      {first, "base", {}, "memory-map/range@0: base: missing"},
      {first, "base", cells(0x800), "memory-map/range@0: base: not page-aligned"},
      {first, "size", {}, "memory-map/range@0: size: missing"},
      {first, "size", cells(0), "memory-map/range@0: size: 0 or not a multiple of 4096"},
      {first, "size", cells(0xc000'0001), "memory-map/range@0: size: 0 or not a multiple of 4096"},
      {first, "size", cells(0x1'0000'1000), "memory-map/range@1: base: overlaps or is below the range before it"},
      {first, "size", cells(~u64{0} << 12), "memory-map/range@0: size: beyond the guest-physical address space"},
      {first, "size", cells(0xbfff'f000), "memory-map: the sum of all ranges is not maximum-memory"},
      {first, "type", {}, "memory-map/range@0: type: missing"},
      {first, "type", text("rom"), "memory-map/range@0: type: not ram"},
      {second, "base", cells(0), "memory-map/range@1: base: overlaps or is below the range before it"},
      {second, "base", cells(u64{1} << 48), "memory-map/range@1: size: beyond the guest-physical address space"},
      {second, "base", cells(~u64{0} << 12), "memory-map/range@1: size: beyond the guest-physical address space"},
  });
}

TEST_CASE("image: every field of a segment is checked") {
  const char* const gdt = "/segments/segment@0";
  const char* const kernel = "/segments/segment@1";
  const char* const bss = "/segments/segment@2";
  const std::string label = std::string{"segments/segment@1: label: "} + k_name;
  check_mutations(sample_image(), {
      {kernel, "label", {}, "segments/segment@1: label: missing"},
      {kernel, "label", text(""), label.c_str()},
      {kernel, "label", text(k_long_name), label.c_str()},
      {kernel, "gpa", {}, "segments/segment@1: gpa: missing"},
      {kernel, "gpa", cells(0x100010), "segments/segment@1: gpa: not page-aligned"},
      {kernel, "gpa", cells(0), "segments/segment@1: gpa: overlaps or is below the segment before it"},
      {kernel, "gpa", cells(0x1000), "segments/segment@1: gpa: overlaps or is below the segment before it"},
      {kernel, "gpa", cells(0xbfff'e000), "segments/segment@1: memory-size: not inside one range of ram"},
      {kernel, "gpa", cells(0xd000'0000), "segments/segment@1: memory-size: not inside one range of ram"},
      {kernel, "gpa", cells(~u64{0} << 12), "segments/segment@1: memory-size: not inside one range of ram"},
      {kernel, "memory-size", {}, "segments/segment@1: memory-size: missing"},
      {kernel, "memory-size", cells(0), "segments/segment@1: memory-size: 0"},
      {kernel, "memory-size", cells(0x17ff), "segments/segment@1: data-size: above memory-size"},
      {kernel, "memory-size", cells(~u64{0}), "segments/segment@1: memory-size: not inside one range of ram"},
      {kernel, "memory-size", cells(0xbff0'0001), "segments/segment@1: memory-size: not inside one range of ram"},
      {kernel, "data-offset", {}, "segments/segment@1: data-offset: missing"},
      {kernel, "data-offset", cells(0x3001), "segments/segment@1: data-offset: not page-aligned"},
      {kernel, "data-offset", cells(0x2000), "segments/segment@1: data-offset: overlaps the tree or the data of the segment before it"},
      {kernel, "data-offset", cells(0x4000), "segments/segment@1: data-size: data beyond the end of the image"},
      {kernel, "data-offset", cells(~u64{0} << 12), "segments/segment@1: data-size: data beyond the end of the image"},
      {kernel, "data-size", {}, "segments/segment@1: data-size: missing"},
      {kernel, "data-size", cells(0x2001), "segments/segment@1: data-size: data beyond the end of the image"},
      {kernel, "data-size", cells(~u64{0}), "segments/segment@1: data-size: above memory-size"},
      {kernel, "data-crc32", {}, "segments/segment@1: data-crc32: missing"},
      {gdt, "data-offset", cells(0), "segments/segment@0: data-offset: overlaps the tree or the data of the segment before it"},
      {bss, "data-size", cells(1), "segments/segment@2: data-size: data beyond the end of the image"},
      {bss, "memory-size", cells(0x10'0001), "segments/segment@2: memory-size: not inside one range of ram"},
  });
}

TEST_CASE("image: every register is checked") {
  check_mutations(sample_image(), {
      {"/vcpu@0", "mode", {}, "vcpu@0: mode: missing"},
      {"/vcpu@0", "mode", text("real16"), "vcpu@0: mode: not one of the words that are legal here"},
      {"/vcpu@0", "rip", {}, "vcpu@0: rip: missing"},
      {"/vcpu@0", "rip", cells(0x5000), "vcpu@0: rip: not in a segment"},
      {"/vcpu@0", "rip", cells(0x103000), "vcpu@0: rip: not in a segment"},
      {"/vcpu@0", "rip", cells(0x1'0000'0000), "vcpu@0: rip: beyond 4 GiB in protected32"},
      {"/vcpu@0", "rsp", {}, "vcpu@0: rsp: missing"},
      {"/vcpu@0", "rsp", cells(~u64{0}), "vcpu@0: rsp: beyond 4 GiB in protected32"},
      {"/vcpu@0", "rax", cells(1ULL << 32), "vcpu@0: rax: beyond 4 GiB in protected32"},
      {"/vcpu@0", "rbp", cell(1), "vcpu@0: rbp: not one 64-bit number"},
      {"/vcpu@0", "cr3", cells(0x1000), "vcpu@0: cr3: protected32 has no paging"},
      {"/vcpu@0", "gdt-base", {}, "vcpu@0: gdt-base: missing"},
      {"/vcpu@0", "gdt-base", cells(0x1001), "vcpu@0: gdt-base: not in a segment"},
      {"/vcpu@0", "gdt-base", cells(~u64{0}), "vcpu@0: gdt-base: not in a segment"},
      {"/vcpu@0", "gdt-limit", {}, "vcpu@0: gdt-limit: missing"},
      {"/vcpu@0", "gdt-limit", cell(0), "vcpu@0: gdt-limit: not 7 to 0xffff"},
      {"/vcpu@0", "gdt-limit", cell(0x10000), "vcpu@0: gdt-limit: not 7 to 0xffff"},
      {"/vcpu@0", "gdt-limit", cell(0x20), "vcpu@0: gdt-base: not in a segment"},
      {"/vcpu@0", "gdt-limit", cell(0x1e), "vcpu@0: ds: beyond gdt-limit"},
      {"/vcpu@0", "cs", cell(0), "vcpu@0: cs: not a selector of ring 0 in the GDT"},
      {"/vcpu@0", "cs", cell(0x13), "vcpu@0: cs: not a selector of ring 0 in the GDT"},
      {"/vcpu@0", "cs", cell(0x14), "vcpu@0: cs: not a selector of ring 0 in the GDT"},
      {"/vcpu@0", "ds", cell(0x10010), "vcpu@0: ds: not a selector of ring 0 in the GDT"},
      {"/vcpu@0", "ds", cell(0x20), "vcpu@0: ds: beyond gdt-limit"},
  });
  check_mutations(sample_image64(), {
      {"/vcpu@0", "cr3", {}, "vcpu@0: cr3: missing"},
      {"/vcpu@0", "cr3", cells(0x2001), "vcpu@0: cr3: not page-aligned"},
      {"/vcpu@0", "cr3", cells(0x3000), "vcpu@0: cr3: not in a segment"},
      {"/vcpu@0", "cr3", cells(~u64{0} << 12), "vcpu@0: cr3: not in a segment"},
      {"/vcpu@0", "rip", cells(~u64{0}), "vcpu@0: rip: not in a segment"},
  });
}

TEST_CASE("image: nodes that are missing, misnumbered or too many") {
  const Bytes sample = sample_image();
  for (const char* const node : {"config", "memory-map", "segments", "vcpu@0"}) {
    CHECK(verdict(without_node(sample, (std::string{"/"} + node).c_str())) == std::string{node} + ": missing");
  }
  CHECK(verdict(without_node(sample, "/segments/segment@0")) == "segments/segment@0: missing, or its number is out of order");
  CHECK(verdict(with_node_name(sample, "/segments/segment@1", "segment@01")) ==
        "segments/segment@1: missing, or its number is out of order");
  CHECK(verdict(with_node(sample, "/memory-map", "hole@0")) == "memory-map/range@0: missing, or its number is out of order");

  Bytes empty = without_node(without_node(without_node(sample, "/segments/segment@0"), "/segments/segment@1"), "/segments/segment@2");
  CHECK(verdict(empty) == "segments: there is none");
}

TEST_CASE("image: a file of a right size that is no multiple of a page") {
  Bytes bytes = with_property(sample_image(), "/", "image-size", cells(k_sample_size + 8));
  bytes.resize(k_sample_size + 8);
  CHECK(verdict(bytes) == "image-size: not a multiple of 4096");
}

TEST_CASE("image: 32 ranges are accepted, one more is not") {
  const auto with_ranges = [](u32 count) {
    Bytes bytes = without_node(without_node(sample_image(), "/memory-map/range@0"), "/memory-map/range@1");
    for (u32 i = count; i-- != 0;) {  // nodes are added in front
      const std::string name = "range@" + hexadecimal(i);
      const std::string path = "/memory-map/" + name;
      bytes = with_node(bytes, "/memory-map", name.c_str());
      bytes = with_property(bytes, path.c_str(), "base", cells(i == 0 ? 0 : 0x1'0000'0000 + u64{i - 1} * 0x10'0000));
      bytes = with_property(bytes, path.c_str(), "size", cells(i == 0 ? 0xc000'0000 : 0x10'0000));
      bytes = with_property(bytes, path.c_str(), "type", text("ram"));
    }
    const u64 memory = 0xc000'0000 + u64{count - 1} * 0x10'0000;
    bytes = with_property(bytes, "/config", "memory", cells(memory));
    return with_property(bytes, "/config", "maximum-memory", cells(memory));
  };
  CHECK(verdict(with_ranges(32)).empty());
  CHECK(verdict(with_ranges(33)) == "memory-map: more than 32 ranges");
}

TEST_CASE("image: 64 segments are accepted, one more is not") {
  constexpr u64 k_size = 0x8000;
  const auto with_segments = [](u32 count) {
    Bytes bytes = sample_image();
    for (const char* const name : {"0", "1", "2"}) bytes = without_node(bytes, (std::string{"/segments/segment@"} + name).c_str());
    bytes.resize(k_size);
    bytes = with_property(bytes, "/", "image-size", cells(k_size));
    for (u32 i = count; i-- != 0;) {
      const std::string name = "segment@" + hexadecimal(i);
      const std::string path = "/segments/" + name;
      bytes = with_node(bytes, "/segments", name.c_str());
      bytes = with_property(bytes, path.c_str(), "label", text("x"));
      bytes = with_property(bytes, path.c_str(), "gpa", cells(i == 0 ? 0x1000 : 0x100000 + u64{i - 1} * 0x1000));
      bytes = with_property(bytes, path.c_str(), "memory-size", cells(0x1000));
      bytes = with_property(bytes, path.c_str(), "data-offset", cells(k_size));
      bytes = with_property(bytes, path.c_str(), "data-size", cells(0));
      bytes = with_property(bytes, path.c_str(), "data-crc32", cell(0));
    }
    return bytes;
  };
  CHECK(verdict(with_segments(64)).empty());
  CHECK(verdict(with_segments(65)) == "segments: more than 64 segments");
}

TEST_CASE("image: a file that is no image") {
  const auto of_size = [](usize size) {
    Bytes bytes = sample_image();
    bytes.resize(size);
    return bytes;
  };
  CHECK(verdict({}) == "too short to be a domain image");
  CHECK(verdict(of_size(39)) == "too short to be a domain image");
  CHECK(verdict(Bytes(4096)) == "not a domain image: it does not begin with a device tree");
  CHECK(verdict(of_size(40)) == "the tree is truncated");
  CHECK(verdict(of_size(0x4fff)) == "image-size: the image is truncated");
  CHECK(verdict(of_size(0x5001)) == "image-size: the image is longer than it says");

  const Bytes bytes = sample_image();
  Bytes shifted(1);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  Image image;
  const auto checked = check_image(std::span{shifted}.subspan(1), image);
  REQUIRE_FALSE(checked);
  CHECK(std::string_view{checked.error().cause} == "the image does not lie at a multiple of 8");
}

TEST_CASE("image: headers of the tree that lie") {
  const auto with_word = [](usize offset, u32 value) {
    Bytes bytes = sample_image();
    const Bytes word = cell(value);
    std::copy(word.begin(), word.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    return bytes;
  };
  CHECK(verdict(with_word(4, 0x10001)) == "the tree is larger than 64 KiB");
  CHECK(verdict(with_word(4, 0x6000)) == "the tree is truncated");
  CHECK(verdict(with_word(4, 8)) == "FDT_ERR_TRUNCATED");
  CHECK(verdict(with_word(8, 0xffff'fff0)) == "FDT_ERR_TRUNCATED");   // offset of the structure block
  CHECK(verdict(with_word(12, 0xffff'ffff)) == "FDT_ERR_TRUNCATED");  // offset of the strings block
  CHECK(verdict(with_word(20, 16)) == "not version 17 of the flattened device tree");
  CHECK(verdict(with_word(32, 0x401)) == "the tree has more than 1 KiB of strings");
  CHECK(verdict(with_word(36, 0xffff'fffc)) == "FDT_ERR_TRUNCATED");  // size of the structure block
}

TEST_CASE("image: unsupported is told from corrupt") {
  const auto code = [](const Bytes& bytes) {
    Image image;
    return check_image(bytes, image).error().code;
  };
  CHECK(code(with_property(sample_image(), "/config", "vcpus", cell(2))) == Error::unsupported);
  CHECK(code(with_property(sample_image(), "/config", "vcpus", cell(0))) == Error::corrupt);
}

TEST_CASE("image: data that was changed has another CRC") {
  Bytes bytes = sample_image();
  bytes[0x3000] ^= std::byte{1};
  Image image;
  REQUIRE(check_image(bytes, image));
  const auto checked = check_all_crcs(image);
  REQUIRE_FALSE(checked);
  CHECK(std::string_view{checked.error().node} == "segments/segment@");
  CHECK(checked.error().index == 1);
  CHECK(check_crc(image, 0, crc32(image.segments()[0].data)));
}
