// SPDX-License-Identifier: Apache-2.0
// The processor's half of platform.hpp. Elsewhere: time and timers in clock.cpp, other CPUs in smp.cpp, panic in
// panic.cpp.
#include "arch/x86/platform.hpp"

#include "arch/x86/clock.hpp"
#include "arch/x86/console.hpp"
#include "arch/x86/layout.hpp"
#include "arch/x86/per_cpu.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/smp.hpp"
#include "arch/x86/uart.hpp"

namespace octavo::arch {
unsigned cpu_index() { return this_cpu().index; }

void relax() {
  asm volatile("pause");
  smp::answer_requests();
}

void lock_rank_enter([[maybe_unused]] unsigned rank) {
#ifndef NDEBUG
  u64& held = this_cpu().held_lock_ranks;
  if (held >> rank != 0) panic("a lock was taken out of order (its rank is not above all that are held)");
  held |= u64{1} << rank;
#endif
}

void lock_rank_leave([[maybe_unused]] unsigned rank) {
#ifndef NDEBUG
  this_cpu().held_lock_ranks &= ~(u64{1} << rank);
#endif
}

void* map_frames(Mfn mfn, u64 /*frames*/) { return direct_map(to_hpa(mfn)); }
void unmap_frames(void* /*address*/, u64 /*frames*/) {}

// STI takes effect after the next instruction: the NOP here, the HLT below, so that no interrupt falls between the two.
void interrupt_window() { asm volatile("sti\nnop\ncli" : : : "memory"); }
void wait_for_interrupt() { asm volatile("sti\nhlt\ncli" : : : "memory"); }

u64 tsc() { return read_tsc(); }
u64 tsc_hz() { return clock::tsc_hz(); }

void console_write(std::string_view text) { console().put(text); }
void console_write_raw(std::string_view text) {
  for (const char c : text) console().put_raw(static_cast<u8>(c));
}

std::optional<u8> console_read() {
  com1().poll_unless_interrupts();
  return com1().read();
}

std::optional<u8> channel_read() {
  com2().poll_unless_interrupts();
  return com2().read();
}
usize channel_write(std::string_view bytes) { return com2().offer(bytes); }

bool serial_lines_are_polled() {
  const auto polled = [](const Uart& line) { return line.present() && !line.uses_interrupts(); };
  return polled(com1()) || polled(com2());
}
}  // namespace octavo::arch
