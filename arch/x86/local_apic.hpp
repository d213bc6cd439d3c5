// SPDX-License-Identifier: Apache-2.0
// The local interrupt controller of each CPU (Intel SDM vol. 3, chapter 10): xAPIC registers in memory, or x2APIC MSRs when
// the firmware has already switched to them, or the operator wants them. Every call acts on the calling CPU; before initialize() all are silent no-ops, so a panic
// can come at any time.
#pragma once
#include "arch/x86/interrupts.hpp"
#include "lib/address.hpp"

namespace octavo::arch::local_apic {

/// Before initialize(): x2APIC even if the firmware has left the processor in xAPIC mode; without effect on one that has none.
void want_x2apic();
/// The boot CPU, once: decides on the mode, the same for all CPUs, and maps the registers.
void initialize(Hpa base);
[[nodiscard]] bool is_x2apic();
/// Each CPU: on, everything masked but what is set later, spurious vector set.
void enable();

[[nodiscard]] u32 id();
void acknowledge();

/// The timer counts down at timer_hz (divider 1) and raises Vector::timer once at 0. 0 stops it.
void start_timer(u32 count);
[[nodiscard]] u32 timer_count();
/// From now on deadlines are given to set_deadline() (TSC-deadline mode).
void use_deadline_timer();
void set_deadline(u64 tsc);

/// Without x2APIC a command reaches only the ids 0 to 254.
[[nodiscard]] bool can_address(u32 apic_id);
void send(u32 apic_id, Vector vector);
/// INIT, then STARTUP at page `start_page` (below 256), for the AP's start.
void send_init(u32 apic_id);
void send_startup(u32 apic_id, u8 start_page);
/// An NMI to everybody else; they halt (see panic).
void stop_other_cpus();
}  // namespace octavo::arch::local_apic
