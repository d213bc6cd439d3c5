// SPDX-License-Identifier: Apache-2.0
// The ACPI tables that the hypervisor itself needs (ACPI 6.4, chapter 5), read out of bytes. Pure: finding and mapping them is
// arch/x86/acpi.cpp's work. Firmware is not hostile but often wrong: every length is checked, a bad table is `corrupt`.
#pragma once
#include <array>
#include <optional>

#include "arch/x86/parse/bytes.hpp"
#include "arch/x86/platform.hpp"
#include "lib/address.hpp"
#include "lib/error.hpp"

namespace octavo::arch::acpi {

inline constexpr usize k_header_size = 36;
using Signature = std::array<char, 4>;

struct RootPointer {
  Hpa table;            ///< the XSDT, or the RSDT
  bool is_xsdt = false;
};
/// 20 bytes (ACPI 1) or 36 (2 and later), with their checksums.
[[nodiscard]] Result<RootPointer> parse_root_pointer(Bytes bytes);
/// Offset of a valid root pointer in `area`, on a multiple of 16.
[[nodiscard]] std::optional<usize> find_root_pointer(Bytes area);

struct Header {
  Signature signature{};
  u32 length = 0;
};
/// Of a system description table; only the first 36 bytes need to be there.
[[nodiscard]] Result<Header> parse_header(Bytes bytes);
/// Is `table` whole, of this signature, with a right checksum? Then exactly its bytes.
[[nodiscard]] Result<Bytes> check_table(Bytes table, Signature wanted);

/// Number of tables that an XSDT or RSDT names, and their addresses.
[[nodiscard]] usize root_table_entries(Bytes checked, bool is_xsdt);
[[nodiscard]] Hpa root_table_entry(Bytes checked, bool is_xsdt, usize index);

enum class Polarity : u8 { high, low };
enum class Trigger : u8 { edge, level };

struct IoApicEntry {
  u8 id = 0;
  Hpa base;
  u32 first_interrupt = 0;
};
/// How an ISA interrupt reaches the I/O APICs.
struct IsaRoute {
  u32 interrupt = 0;  ///< global system interrupt
  Polarity polarity = Polarity::high;
  Trigger trigger = Trigger::edge;
};
struct Madt {
  static constexpr usize k_max_io_apics = 16;
  Hpa local_apic;
  bool has_legacy_pics = false;
  std::array<u32, k_max_cpus> apic_ids{};  ///< CPUs that can be used
  usize cpu_count = 0, cpus_ignored = 0;
  std::array<IoApicEntry, k_max_io_apics> io_apics{};
  usize io_apic_count = 0;
  std::array<IsaRoute, 16> isa{};          ///< identity, unless overridden
};
[[nodiscard]] Result<Madt> parse_madt(Bytes checked);

/// Generic Address Structure, as far as we use it.
struct Register {
  enum class Space : u8 { memory = 0, port = 1, pci_configuration = 2 };
  Space space = Space::port;
  u64 address = 0;
};
struct Fadt {
  Hpa dsdt;
  u16 smi_command = 0;
  u8 acpi_enable = 0;              ///< written to smi_command; 0: the machine is always in ACPI mode
  u16 pm1a_control = 0, pm1b_control = 0;
  u16 pm_timer = 0;                ///< port; 0: none
  bool pm_timer_32_bits = false;
  std::optional<Register> reset;
  u8 reset_value = 0;
};
[[nodiscard]] Result<Fadt> parse_fadt(Bytes checked);

/// What to write to SLP_TYP of PM1a and PM1b to power off.
struct SleepTypes {
  u8 pm1a = 0, pm1b = 0;
};
/// Finds Name(_S5_, Package{a, b, ...}) in AML without running it.
[[nodiscard]] std::optional<SleepTypes> find_soft_off(Bytes aml);
}  // namespace octavo::arch::acpi
