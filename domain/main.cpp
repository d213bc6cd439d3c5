// SPDX-License-Identifier: Apache-2.0
#include "domain/main.hpp"

#include "arch/x86/platform.hpp"
#include "lib/log.hpp"

namespace octavo::domain {
void main(const arch::BootInfo& boot) {
  for (const arch::MemoryRange& range : boot.free_ram) log::info("free {:x} + {:x}", range.base, range.size);
  for (const arch::BootModule& module : boot.modules) log::info("module {} at {:x}, {} bytes", module.name, module.base, module.size);
  u64 next = arch::uptime_ns();
  for (int tick = 0; tick < 3; ++tick) {
    next += 1'000'000'000;
    arch::set_timer(next);
    while (arch::uptime_ns() < next) arch::wait_for_interrupt();
    log::info("tick");
  }
  for (;;) {
    arch::wait_for_interrupt();
    while (const auto byte = arch::console_read()) {
      log::info("byte {:02x}", *byte);
      if (*byte == 'p') arch::panic("asked for");
      if (*byte == 'f') { u64 bad = 0x123; asm volatile("movq $0, (%0)" : : "r"(bad) : "memory"); }
    }
  }
}
}  // namespace octavo::domain
