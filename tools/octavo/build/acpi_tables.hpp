// SPDX-License-Identifier: Apache-2.0
// The ACPI tables of a domain, as firmware would leave them in the BIOS area: RSDP, XSDT, FADT, FACS, DSDT. No MADT: the guest
// has a pair of 8259. The register blocks are those of devices/ (ACPI 6.5, chapter 5.2).
#pragma once
#include "domain/image.hpp"
#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::build {

inline constexpr u64 k_acpi_base = 0xf0000;  ///< the RSDP; in the area that is searched for it, at a 16-byte boundary

/// Ports and interrupts that the tables name and the hypervisor's devices answer to.
struct AcpiHardware {
  u16 pm1a_event_block = 0x600;
  u16 pm1a_control_block = 0x604;
  u16 pm_timer_block = 0x608;     ///< 32 bits wide
  u16 reset_port = 0xcf9;
  u8 reset_value = 6;
  u8 sci = 9;
  u8 century_register = 0x32;     ///< of the CMOS RTC
  u8 s5_sleep_type = 5;  ///< SLP_TYP that powers off
};

/// A segment at k_acpi_base. `console` says whether COM1 exists.
[[nodiscard]] Segment acpi_tables(domain::Console console, const AcpiHardware& hardware = {});
}  // namespace octavo::build
