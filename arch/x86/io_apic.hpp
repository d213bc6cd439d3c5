// SPDX-License-Identifier: Apache-2.0
// The interrupt controllers of the machine: I/O APICs, as the MADT lists them, and the old pair of 8259s, which are silenced.
// Boot CPU only.
#pragma once
#include "arch/x86/interrupts.hpp"
#include "arch/x86/parse/acpi.hpp"

namespace octavo::arch {
/// Moves the 8259s away from the exceptions' vectors and masks all of their inputs.
void silence_legacy_pics();

namespace io_apic {
/// Maps all of them and masks every input.
void initialize(const acpi::Madt& madt);
/// Sends ISA interrupt `irq` to `vector` on the CPU with this local APIC; false if no I/O APIC has it.
bool route_isa(const acpi::Madt& madt, u8 irq, Vector vector, u32 apic_id);
}  // namespace io_apic
}  // namespace octavo::arch
