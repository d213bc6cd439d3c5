// SPDX-License-Identifier: Apache-2.0
// check RULE PATH: one rule about octavo.elf or about the source tree; prints what breaks it and exits with 1.
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {
int violations = 0;
void violation(const std::string& text) {
  ++violations;
  std::cout << text << '\n';
}

// ---- the ELF ----

class Elf {
 public:
  explicit Elf(const fs::path& path) {
    bytes_.resize(fs::file_size(path));
    std::ifstream(path, std::ios::binary).read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    header_ = at<Elf64_Ehdr>(0);
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0 || header_.e_ident[EI_CLASS] != ELFCLASS64) throw std::runtime_error(path.string() + " is no 64-bit ELF");
  }
  template <class T>
  [[nodiscard]] T at(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) throw std::runtime_error("the file is truncated");
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  [[nodiscard]] const Elf64_Ehdr& header() const { return header_; }
  [[nodiscard]] std::vector<Elf64_Phdr> loads() const {
    std::vector<Elf64_Phdr> found;
    for (unsigned i = 0; i < header_.e_phnum; ++i) {
      const auto segment = at<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD) found.push_back(segment);
    }
    return found;
  }
  [[nodiscard]] std::vector<Elf64_Shdr> sections() const {
    std::vector<Elf64_Shdr> found;
    for (unsigned i = 0; i < header_.e_shnum; ++i) found.push_back(at<Elf64_Shdr>(header_.e_shoff + i * sizeof(Elf64_Shdr)));
    return found;
  }
  [[nodiscard]] std::string text(std::uint64_t offset) const {
    std::string result;
    for (; at<char>(offset) != '\0'; ++offset) result += at<char>(offset);
    return result;
  }
  [[nodiscard]] std::string name(const Elf64_Shdr& section) const { return text(sections().at(header_.e_shstrndx).sh_offset + section.sh_name); }

 private:
  std::vector<char> bytes_;
  Elf64_Ehdr header_{};
};

void check_segments(const fs::path& path) {
  for (const Elf64_Phdr& segment : Elf(path).loads()) {
    const std::string where = "segment at " + std::to_string(segment.p_vaddr);
    if ((segment.p_flags & PF_W) != 0 && (segment.p_flags & PF_X) != 0) violation(where + " is writable and executable");
    if (segment.p_vaddr % 4096 != 0 || segment.p_paddr % 4096 != 0) violation(where + " does not begin on a page");
  }
}

void check_constructors(const fs::path& path) {
  const Elf elf(path);
  for (const Elf64_Shdr& section : elf.sections()) {
    const std::string name = elf.name(section);
    const bool runs_code = name.starts_with(".init_array") || name.starts_with(".ctors") || name.starts_with(".preinit_array") || name.starts_with(".fini_array");
    if (runs_code && section.sh_size != 0) violation(name + " is not empty: a global constructor or destructor that nobody runs");
  }
}

void check_undefined(const fs::path& path) {
  const Elf elf(path);
  bool has_table = false;
  const auto sections = elf.sections();
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) continue;
    has_table = true;
    for (std::uint64_t i = 1; i < section.sh_size / sizeof(Elf64_Sym); ++i) {
      const auto symbol = elf.at<Elf64_Sym>(section.sh_offset + i * sizeof(Elf64_Sym));
      if (symbol.st_shndx == SHN_UNDEF) violation("undefined symbol " + elf.text(sections.at(section.sh_link).sh_offset + symbol.st_name));
    }
  }
  if (!has_table) violation("there is no symbol table");
}

void check_multiboot2(const fs::path& path) {
  constexpr std::uint32_t magic = 0xe85250d6, search_limit = 32768;
  const Elf elf(path);
  bool has_header = false;
  for (std::uint64_t at = 0; at + 16 <= search_limit && !has_header; at += 8) {
    if (elf.at<std::uint32_t>(at) != magic) continue;
    const std::uint32_t sum = magic + elf.at<std::uint32_t>(at + 4) + elf.at<std::uint32_t>(at + 8) + elf.at<std::uint32_t>(at + 12);
    has_header = sum == 0;
  }
  if (!has_header) violation("no multiboot2 header in the first 32 KiB of the file");
  const auto entry = elf.header().e_entry;
  const auto loads = elf.loads();
  const bool entered = std::any_of(loads.begin(), loads.end(), [&](const Elf64_Phdr& s) {
    return s.p_vaddr == s.p_paddr && (s.p_flags & PF_X) != 0 && entry >= s.p_vaddr && entry < s.p_vaddr + s.p_memsz;
  });
  if (!entered) violation("the entry point is not in an executable segment that is linked where it is loaded");
  for (const Elf64_Shdr& section : elf.sections()) {
    if (elf.name(section).starts_with(".debug")) violation(elf.name(section) + " should be in octavo.debug: GRUB would load it");
  }
}

void check_vectors(const fs::path& path) {
  const std::string command = "objdump -d --no-show-raw-insn '" + path.string() + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) throw std::runtime_error("cannot run objdump");
  // Saving and restoring a guest's state are the only contact with these registers.
  static const std::regex vector_register("%(x|y|z)?mm[0-9]|%st\\b|%k[0-7]\\b"), x87("^\\s*f(?!xsave|xrstor|s\\b)[a-z]+");
  std::array<char, 512> line{};
  std::string function;
  std::size_t instructions = 0;
  while (std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) != nullptr) {
    const std::string text(line.data());
    if (text.ends_with(">:\n")) function = text.substr(text.find('<'));
    const std::size_t tab = text.find(":\t");
    if (tab == std::string::npos) continue;
    ++instructions;
    const std::string instruction = text.substr(tab + 2);
    if (std::regex_search(instruction, vector_register) || std::regex_search(instruction, x87)) violation("in " + function + text);
  }
  if (instructions < 100) violation("objdump showed no code");
}

// ---- the tree ----

/// Rooms and their floors, from docs/architecture.md.
const std::map<std::string, int> k_floors = {
    {"lib", 0}, {"include", 0}, {"octavo", 0}, {"arch", 1}, {"mm", 2}, {"p2m", 3}, {"pod", 4}, {"walk", 4}, {"shadow", 5}, {"marks", 6},
    {"vcpu", 7}, {"devices", 7}, {"domain", 8}, {"boot", 9}};
/// The line between the two worlds: everyone may use it, so it counts as the ground floor.
constexpr std::string_view k_platform = "arch/x86/platform.hpp";

std::string room_of(const std::string& path) { return path.substr(0, path.find('/')); }

bool is_source(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".cpp" || extension == ".hpp" || extension == ".h" || extension == ".S";
}

template <class Visit>
void for_each_source(const fs::path& tree, Visit visit) {
  for (const auto& [room, floor] : k_floors) {
    if (!fs::is_directory(tree / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(tree / room)) {
      const std::string relative = fs::relative(entry.path(), tree).generic_string();
      if (entry.is_regular_file() && is_source(entry.path()) && !relative.starts_with("boot/font/")) visit(relative, entry.path());
    }
  }
}

void check_includes(const fs::path& tree) {
  static const std::regex include("^\\s*#\\s*include\\s+\"([^\"]+/[^\"]+)\"");
  std::size_t files = 0;
  for_each_source(tree, [&](const std::string& file, const fs::path& path) {
    ++files;
    const int own = file == k_platform ? 0 : k_floors.at(room_of(file));
    std::ifstream input(path);
    std::smatch match;
    int number = 0;
    for (std::string line; std::getline(input, line);) {
      ++number;
      if (!std::regex_search(line, match, include)) continue;
      const std::string target = match[1];
      const std::string room = room_of(target);
      const auto floor = k_floors.find(room);
      const std::string where = file + ":" + std::to_string(number) + ": ";
      if (floor == k_floors.end()) violation(where + target + " is in no room");
      else if (target != k_platform && room != room_of(file) && floor->second >= own && floor->second != 0)
        violation(where + room_of(file) + " (floor " + std::to_string(own) + ") includes " + target + " (floor " + std::to_string(floor->second) + ")");
    }
  });
  if (files == 0) violation("no sources found");
}

/// F5: memory is reached through mm::Mapping, so that one day it need not be mapped all the time. The processor's room and boot, which come before
/// there is a machine, and the two that map memory of the hypervisor's own are named here.
void check_handles(const fs::path& tree) {
  static const std::regex reach("\\b(map_frames|direct_map)\\s*\\(");
  constexpr std::string_view allowed[] = {"mm/mapping.hpp", "mm/frame_table.cpp", "domain/manager.cpp"};
  std::size_t found = 0;
  for_each_source(tree, [&](const std::string& file, const fs::path& path) {
    if (room_of(file) == "arch" || room_of(file) == "boot") return;
    std::ifstream input(path);
    int number = 0;
    for (std::string line; std::getline(input, line);) {
      ++number;
      if (!std::regex_search(line, reach)) continue;
      ++found;
      if (std::ranges::find(allowed, file) == std::end(allowed)) violation(file + ":" + std::to_string(number) + ": reaches memory without a handle");
    }
  });
  if (found == 0 && violations == 0) violation("nobody maps memory");
}

/// Lines with code on them: not blank, not only comment.
int code_lines(const fs::path& path) {
  std::ifstream input(path);
  int lines = 0;
  bool in_comment = false;
  for (std::string line; std::getline(input, line);) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) continue;
    const std::string_view text = std::string_view(line).substr(begin);
    if (in_comment || text.starts_with("/*")) {
      in_comment = text.find("*/") == std::string_view::npos;
    } else if (!text.starts_with("//") && !(path.extension() == ".S" && text.starts_with("# "))) {
      ++lines;
    }
  }
  return lines;
}

void check_size(const fs::path& tree) {
  constexpr int limit = 15'000;
  std::map<std::string, int> rooms;
  int total = 0;
  for_each_source(tree, [&](const std::string& file, const fs::path& path) {
    const int lines = code_lines(path);
    rooms[room_of(file)] += lines;
    total += lines;
  });
  for (const auto& [room, lines] : rooms) std::cout << room << ": " << lines << '\n';
  std::cout << "lines of code of the hypervisor: " << total << '\n';
  if (total >= limit) violation("that is not below " + std::to_string(limit));
  if (total == 0) violation("no sources found");
}
}  // namespace

int main(int argc, char** argv) try {
  static const std::map<std::string, void (*)(const fs::path&)> rules = {
      {"segments", check_segments}, {"constructors", check_constructors}, {"undefined", check_undefined}, {"multiboot2", check_multiboot2},
      {"vectors", check_vectors},   {"includes", check_includes},         {"handles", check_handles},     {"size", check_size}};
  if (argc != 3 || !rules.contains(argv[1])) throw std::runtime_error("usage: check RULE PATH");
  rules.at(argv[1])(argv[2]);
  return violations == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "check: " << error.what() << '\n';
  return 2;
}
