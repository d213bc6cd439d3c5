// SPDX-License-Identifier: Apache-2.0
// PVH direct boot: docs/misc/pvh.pandoc of Xen and the layout of hvm_start_info in its public headers.
#include "tools/octavo/build/boot_state.hpp"
#include "tools/octavo/build/elf.hpp"
#include "tools/octavo/build/kernel.hpp"

namespace octavo::build {
namespace {

constexpr u32 k_start_magic = 0x336ec578;
constexpr u32 k_start_version = 1;  // has a memory map

struct StartInfo {
  u32 magic, version, flags, module_count;
  u64 modules, command_line, rsdp, memory_map;
  u32 memory_map_entries, reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  u64 address, size, command_line, reserved;
};
static_assert(sizeof(Module) == 32);

struct MemoryMapEntry {
  u64 base, size;
  u32 type, reserved;
};
static_assert(sizeof(MemoryMapEntry) == 24);

/// Places one module above the kernel and says where it is.
Outcome<Module> place_module(GuestMemory& memory, std::string label, const Bytes& data, const std::string& command_line) {
  Module module{};
  module.size = data.size();
  if (!data.empty()) {
    module.address = OCTAVO_TRY(memory.place({label, 0, data.size(), data}, k_legacy_end, k_low_memory_end, GuestMemory::From::top));
  }
  if (!command_line.empty()) module.command_line = OCTAVO_TRY(place_text(memory, label + "-args", command_line));
  return module;
}
}  // namespace

Outcome<domain::BootRegisters> load_pvh(GuestMemory& memory, const BootInput& input) {
  const ElfFile elf = OCTAVO_TRY(at("kernel", read_elf(input.kernel)));
  if (!elf.pvh_entry) return failure_at("kernel", "has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
  if (!is_loaded(elf, *elf.pvh_entry)) {
    return failure_at("kernel", "is corrupt: its PVH entry {:#x} lies outside of what it loads", *elf.pvh_entry);
  }
  OCTAVO_TRY(at("kernel", place_elf(memory, elf)));
  std::vector<Module> modules;
  if (input.initrd) modules.push_back(OCTAVO_TRY(at("initrd", place_module(memory, "initrd", *input.initrd, ""))));
  for (const BootModule& module : input.modules) {
    const std::string label = fmt::format("module-{}", modules.size());
    modules.push_back(OCTAVO_TRY(at("modules", place_module(memory, label, module.data, module.command_line))));
  }
  domain::BootRegisters registers = OCTAVO_TRY(flat_registers(memory, domain::BootMode::protected32));

  // start_info, the modules and the memory map in one segment
  const auto e820 = memory.e820();
  const u64 modules_at = sizeof(StartInfo);
  const u64 map_at = modules_at + modules.size() * sizeof(Module);
  const u64 size = map_at + e820.size() * sizeof(MemoryMapEntry);
  StartInfo info{};
  info.magic = k_start_magic;
  info.version = k_start_version;
  info.module_count = static_cast<u32>(modules.size());
  info.command_line = OCTAVO_TRY(place_text(memory, "command-line", input.command_line));
  info.rsdp = input.rsdp;
  info.memory_map_entries = static_cast<u32>(e820.size());
  const u64 base = OCTAVO_TRY(memory.place({"start-info", 0, size, {}}, k_boot_data_begin, k_below_4g, GuestMemory::From::bottom));
  info.modules = modules.empty() ? 0 : base + modules_at;
  info.memory_map = base + map_at;
  Bytes bytes;
  append(bytes, info);
  for (const Module& module : modules) append(bytes, module);
  for (const E820Entry& entry : e820) append(bytes, MemoryMapEntry{entry.base, entry.size, entry.type, 0});
  memory.fill(base, std::move(bytes));

  registers.rip = *elf.pvh_entry;
  registers.rbx = base;
  return registers;
}
}  // namespace octavo::build
