// SPDX-License-Identifier: Apache-2.0
// The 8259 pair (vectors 0x20-0x2F) and the 8254's counter 0.
#pragma once
#include "fault.hpp"

namespace pic {
inline constexpr unsigned k_base = 0x20;
/// Both chips set up, every line masked.
void initialize();
/// Lines that may interrupt: bit n = IRQ n (line 2 is opened by itself for lines 8-15).
void enable_only(u16 lines);
void end_of_interrupt(unsigned irq);
/// Lines that want service.
u16 requests();
/// Lines in service.
u16 in_service();
}  // namespace pic

namespace pit {
inline constexpr u32 k_hz = 1193182;
/// Mode 2, an interrupt each `count` ticks (65536 is written as 0).
void periodic(u32 count);
/// Mode 0, one interrupt after `count` ticks.
void one_shot(u32 count);
/// What the counter holds now (latched).
u16 read();
}  // namespace pit

/// The median of `count` numbers; sorts them.
u64 median(u64* numbers, unsigned count);
