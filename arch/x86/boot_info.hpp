// SPDX-License-Identifier: Apache-2.0
// What the boot loader handed over, copied into the hypervisor's own memory and checked, in no loader's format.
#pragma once
#include <span>
#include <string_view>

#include "lib/address.hpp"

namespace octavo::arch {

/// A run of RAM; base and size are multiples of 4 KiB.
struct MemoryRange {
  Hpa base;
  u64 size = 0;
};

/// A file that the boot loader loaded (a domain image). Page-aligned; reachable through mm::Mapping like all RAM.
struct BootModule {
  Hpa base;
  u64 size = 0;           ///< bytes, as the loader said
  std::string_view name;  ///< the module's command line up to the first space
};

struct BootInfo {
  std::span<const MemoryRange> all_ram;   ///< what the firmware calls usable; ascending, disjoint
  std::span<const MemoryRange> free_ram;  ///< all_ram less the first MiB, the hypervisor, the modules and what boot itself keeps
  std::span<const BootModule> modules;
  std::string_view command_line;
  std::string_view loader_name;
};
}  // namespace octavo::arch
