// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/guest_context.hpp"

namespace octavo::arch {
void set_xcr0(u64 value) {
  asm volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}

u64 xcr0() {
  u32 low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return u64{high} << 32 | low;
}

void save_extended_state(void* area, u64 mask) {
  if (mask == 0) {
    asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    return;
  }
  set_xcr0(mask);
  asm volatile("xsave64 (%0)" ::"r"(area), "a"(static_cast<u32>(mask)), "d"(static_cast<u32>(mask >> 32)) : "memory");
}

void load_extended_state(const void* area, u64 mask, u64 xcr0) {
  if (mask == 0) {
    asm volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
    return;
  }
  set_xcr0(mask);
  asm volatile("xrstor64 (%0)" ::"r"(area), "a"(static_cast<u32>(mask)), "d"(static_cast<u32>(mask >> 32)) : "memory");
  set_xcr0(xcr0);
}

void save_debug_addresses(u64 (&dr)[4]) {
  asm volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3" : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}
void load_debug_addresses(const u64 (&dr)[4]) {
  asm volatile("mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3" ::"r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}
}  // namespace octavo::arch
