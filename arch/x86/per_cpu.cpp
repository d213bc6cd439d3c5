// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/per_cpu.hpp"

#include "arch/x86/registers.hpp"

namespace octavo::arch {
namespace {
constinit PerCpu blocks[k_max_cpus];

u64 random_bits() {
  // splitmix64's finisher spreads the few bits of TSC that are hard to guess.
  u64 value = read_tsc();
  if ((cpuid(1).ecx >> 30 & 1) != 0) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      u64 random;
      bool valid;
      asm volatile("rdrand %0" : "=r"(random), "=@ccc"(valid));
      if (valid) { value ^= random; break; }
    }
  }
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}
}  // namespace

PerCpu& cpu(unsigned index) { return blocks[index]; }

__attribute__((no_stack_protector)) void adopt_per_cpu(unsigned index) {
  PerCpu& block = blocks[index];
  block.self = &block;
  block.index = index;
  block.canary = random_bits() & ~u64{0xff};  // a zero byte stops string functions
  write_msr(Msr::fs_base, reinterpret_cast<u64>(&block));
}
}  // namespace octavo::arch
