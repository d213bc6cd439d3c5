// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/early_memory.hpp"

#include <cstring>

#include "arch/x86/layout.hpp"
#include "arch/x86/platform.hpp"

namespace octavo::arch::early_memory {
namespace {
constinit u64 begin = 0, next_end = 0, end = 0;
}

void open(MemoryRange range) {
  begin = range.base.value();
  next_end = end = begin + range.size;
}

Hpa allocate(u64 frames) {
  if ((next_end - begin) / k_page_size < frames) panic("boot has no memory left for the hypervisor's own tables and stacks");
  next_end -= frames * k_page_size;
  std::memset(direct_map(Hpa{next_end}), 0, frames * k_page_size);
  return Hpa{next_end};
}

MemoryRange close() {
  const MemoryRange taken{Hpa{next_end}, end - next_end};
  begin = next_end;
  return taken;
}
}  // namespace octavo::arch::early_memory
