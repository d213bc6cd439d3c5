// SPDX-License-Identifier: Apache-2.0
#include "tests/system/images.hpp"

#include <fmt/format.h>
#include <libfdt.h>

#include <fstream>

#include "tools/octavo/run/files.hpp"

namespace octavo::system_test {
namespace {
namespace fs = std::filesystem;

std::string big_endian(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = bytes; i-- != 0;) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

int find_node(const std::string& bytes, const char* node) {
  const int offset = fdt_path_offset(bytes.data(), node);
  if (offset < 0) fail_case(fmt::format("the image has no node {}: {}", node, fdt_strerror(offset)));
  return offset;
}
}  // namespace

std::string build_image(const Bench& bench, const std::string& name, const std::string& text) {
  const fs::path toml = bench.folder() / (name + ".toml"), image = bench.folder() / (name + ".dom");
  std::ofstream{toml} << "name = \"" << name << "\"\n" << text;
  (void)bench.octavo({"build", toml.string(), "-o", image.string()}).expect_status(0);
  return image.string();
}

std::string build_guest(const Bench& bench, const std::string& guest) {
  return build_image(bench, guest, fmt::format("memory = \"64M\"\nkernel = \"{}\"\nkind = \"multiboot\"\non_reboot = \"destroy\"\n",
                                               (bench.build() / "guests" / (guest + ".elf")).string()));
}

std::string build_good_guest(const Bench& bench, const std::string& memory, const std::string& name) {
  return build_image(bench, name, fmt::format("memory = \"{}\"\nkernel = \"{}\"\nkind = \"multiboot\"\n", memory,
                                              (bench.build() / "tests/system/good.elf").string()));
}

std::string build_waiting_guest(const Bench& bench, const std::string& kind) {
  return build_image(bench, kind, fmt::format("memory = \"16M\"\nkernel = \"{}\"\nkind = \"multiboot\"\n", (bench.build() / "tests/system" / (kind + ".elf")).string()));
}

Image::Image(const std::string& path) {
  auto content = tool::read_file(path, std::size_t{1} << 30);
  if (!content) fail_case(content.error());
  bytes_ = std::move(*content);
}

void Image::set(const char* node, const char* property, const std::string& value) {
  const int error = fdt_setprop_inplace(bytes_.data(), find_node(bytes_, node), property, value.data(), static_cast<int>(value.size()));
  if (error != 0) fail_case(fmt::format("{}/{} cannot be set: {}", node, property, fdt_strerror(error)));
}

void Image::set64(const char* node, const char* property, std::uint64_t value) { set(node, property, big_endian(value, 8)); }
void Image::set32(const char* node, const char* property, std::uint32_t value) { set(node, property, big_endian(value, 4)); }
void Image::set_text(const char* node, const char* property, const std::string& same_length) { set(node, property, same_length + '\0'); }

std::uint64_t Image::get64(const char* node, const char* property) {
  int length = 0;
  const void* value = fdt_getprop(bytes_.data(), find_node(bytes_, node), property, &length);
  if (value == nullptr || length != 8) fail_case(fmt::format("the image has no 64-bit {}/{}", node, property));
  return fdt64_ld(static_cast<const fdt64_t*>(value));
}

std::string Image::write(const Bench& bench, const std::string& name) const {
  const fs::path path = bench.folder() / name;
  std::ofstream{path, std::ios::binary} << bytes_;
  return path.string();
}
std::string linux_image(const Bench& bench, const std::string& name, const std::string& memory, const std::string& words, const std::string& more) {
  const std::string initrd = (bench.folder() / "initrd.gz").string();
  (void)bench.command({(bench.source() / "tools/make-initrd").string(), initrd}, std::chrono::seconds{60}).expect_status(0);
  return build_image(bench, name, fmt::format("memory = \"{}\"\nkernel = \"{}\"\ninitrd = \"{}\"\ncommand_line = \"console=ttyS0 panic=-1 {}\"\non_reboot = \"destroy\"\n{}",
                                              memory, (bench.source() / "build/debian/kernel").string(), initrd, words, more));
}
}  // namespace octavo::system_test
