// SPDX-License-Identifier: Apache-2.0
// Multiboot specification 0.6.96.
#include "lib/address.hpp"
#include "tools/octavo/build/boot_state.hpp"
#include "tools/octavo/build/elf.hpp"
#include "tools/octavo/build/kernel.hpp"

namespace octavo::build {
namespace {

constexpr u64 k_search = 8192;
constexpr u32 k_header_magic = 0x1badb002;
constexpr u32 k_loader_magic = 0x2badb002;
constexpr u32 k_flag_page_align = 1 << 0, k_flag_memory_info = 1 << 1, k_flag_video = 1 << 2, k_flag_addresses = 1 << 16;
constexpr u32 k_required_flags = 0xffff;  // a loader that does not know one of them must refuse

/// The information structure, as far as it is filled in.
struct Info {
  u32 flags, memory_lower, memory_upper, boot_device, command_line, module_count, modules;
  u32 symbols[4];
  u32 memory_map_length, memory_map, drives_length, drives, configuration, loader_name, apm;
};
static_assert(sizeof(Info) == 72 && offsetof(Info, memory_map) == 48 && offsetof(Info, loader_name) == 64);
constexpr u32 k_info_memory = 1 << 0, k_info_command_line = 1 << 2, k_info_modules = 1 << 3, k_info_memory_map = 1 << 6,
              k_info_loader_name = 1 << 9;

struct Module {
  u32 begin, end, command_line, reserved;
};

struct [[gnu::packed]] MemoryMapEntry {
  u32 size;  // of the rest
  u64 base, length;
  u32 type;
};
static_assert(sizeof(MemoryMapEntry) == 24);

/// The flags of the multiboot header, or nothing where there is none.
std::optional<u32> find_header(ByteView kernel) {
  for (u64 offset = 0; offset + 12 <= std::min<u64>(kernel.size(), k_search); offset += 4) {
    if (get<u32>(kernel, offset) != k_header_magic) continue;
    const u32 flags = *get<u32>(kernel, offset + 4);
    const u32 checksum = *get<u32>(kernel, offset + 8);
    if (k_header_magic + flags + checksum == 0) return flags;
  }
  return std::nullopt;
}

Outcome<> check_flags(u32 flags) {
  if ((flags & k_flag_addresses) != 0) {
    return failure("gives its addresses in the multiboot header (the a.out kludge, flag 16); only ELF program headers can be loaded");
  }
  if ((flags & k_flag_video) != 0) return failure("wants a video mode (multiboot flag 2), and a domain has no screen");
  const u32 unknown = flags & k_required_flags & ~(k_flag_page_align | k_flag_memory_info);
  if (unknown != 0) return failure("wants multiboot features that Octavo does not offer (flags {:#x})", unknown);
  return {};
}

/// Where the entry is in physical memory: e_entry is virtual where the program headers are.
std::optional<u64> physical_entry(const ElfFile& elf) {
  for (const ElfLoad& load : elf.loads) {
    const u64 offset = elf.entry - load.virtual_address;
    if (elf.entry >= load.virtual_address && offset < load.memory_size) return load.physical_address + offset;
  }
  if (is_loaded(elf, elf.entry)) return elf.entry;
  return std::nullopt;
}

Outcome<u32> place_text32(GuestMemory& memory, std::string label, std::string_view text) {
  return static_cast<u32>(OCTAVO_TRY(place_text(memory, std::move(label), text)));
}
}  // namespace

bool detail::has_multiboot_header(ByteView kernel) { return find_header(kernel).has_value(); }

Outcome<domain::BootRegisters> load_multiboot(GuestMemory& memory, const BootInput& input) {
  const auto flags = find_header(input.kernel);
  if (!flags) return failure_at("kernel", "has no multiboot-1 header in its first {} bytes", k_search);
  OCTAVO_TRY(at("kernel", check_flags(*flags)));
  const ElfFile elf = OCTAVO_TRY(at("kernel", read_elf(input.kernel)));
  const auto entry = physical_entry(elf);
  if (!entry) return failure_at("kernel", "is corrupt: its entry {:#x} lies outside of what it loads", elf.entry);
  if (input.initrd) return failure_at("initrd", "a multiboot kernel takes modules, no initrd");
  OCTAVO_TRY(at("kernel", place_elf(memory, elf)));

  const u64 kernel_end = elf.loads.back().physical_address + elf.loads.back().memory_size;
  std::vector<Module> modules;
  for (const BootModule& module : input.modules) {
    const std::string label = fmt::format("module-{}", modules.size());
    Module placed{};
    if (!module.data.empty()) {
      placed.begin = static_cast<u32>(OCTAVO_TRY(at("modules", memory.place(
          {label, 0, module.data.size(), module.data}, std::max(kernel_end, k_legacy_end), k_low_memory_end, GuestMemory::From::bottom))));
    }
    placed.end = placed.begin + static_cast<u32>(module.data.size());
    placed.command_line = OCTAVO_TRY(place_text32(memory, label + "-args", module.command_line));
    modules.push_back(placed);
  }
  domain::BootRegisters registers = OCTAVO_TRY(flat_registers(memory, domain::BootMode::protected32));

  // the information structure, the modules and the memory map in one segment
  const auto e820 = memory.e820();
  const u64 modules_at = sizeof(Info);
  const u64 map_at = modules_at + modules.size() * sizeof(Module);
  const u64 size = map_at + e820.size() * sizeof(MemoryMapEntry);
  Info info{};
  info.flags = k_info_memory | k_info_command_line | k_info_modules | k_info_memory_map | k_info_loader_name;
  info.memory_lower = static_cast<u32>(k_legacy_begin / 1024);
  info.memory_upper = static_cast<u32>((memory.low_end() - k_legacy_end) / 1024);
  info.command_line = OCTAVO_TRY(place_text32(memory, "command-line", input.command_line));
  info.loader_name = OCTAVO_TRY(place_text32(memory, "loader-name", "Octavo"));
  info.module_count = static_cast<u32>(modules.size());
  info.memory_map_length = static_cast<u32>(e820.size() * sizeof(MemoryMapEntry));
  const u64 base = OCTAVO_TRY(memory.place({"multiboot-info", 0, size, {}}, k_boot_data_begin, k_below_4g, GuestMemory::From::bottom));
  info.modules = static_cast<u32>(base + modules_at);
  info.memory_map = static_cast<u32>(base + map_at);
  Bytes bytes;
  append(bytes, info);
  for (const Module& module : modules) append(bytes, module);
  for (const E820Entry& range : e820) append(bytes, MemoryMapEntry{20, range.base, range.size, range.type});
  memory.fill(base, std::move(bytes));

  registers.rip = *entry;
  registers.rax = k_loader_magic;
  registers.rbx = base;
  return registers;
}
}  // namespace octavo::build
