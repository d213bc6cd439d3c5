// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/acpi_tables.hpp"

#include <numeric>

#include "tools/octavo/build/aml.hpp"

namespace octavo::build {
namespace {

constexpr usize k_header_size = 36;
constexpr usize k_header_checksum = 9;
constexpr u32 k_creator_revision = 1;

/// The byte that makes the sum of all bytes zero.
u8 checksum(ByteView bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), u8{0},
                         [](u8 sum, std::byte b) { return static_cast<u8>(sum - std::to_integer<u8>(b)); });
}

/// A system description table: header (5.2.6) and body.
Bytes table(std::string_view signature, u8 revision, const Bytes& body) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(signature));
  append(bytes, static_cast<u32>(k_header_size + body.size()));
  append(bytes, revision);
  append(bytes, u8{0});
  append_bytes(bytes, as_bytes("OCTAVO"));
  append_bytes(bytes, as_bytes("OCTAVOPC"));
  append(bytes, u32{1});
  append_bytes(bytes, as_bytes("OCTV"));
  append(bytes, k_creator_revision);
  append_bytes(bytes, body);
  put(bytes, k_header_checksum, checksum(bytes));
  return bytes;
}

Bytes facs() {  // 5.2.10; has no checksum
  Bytes bytes;
  append_bytes(bytes, as_bytes("FACS"));
  append(bytes, u32{64});
  put(bytes, 32, u8{2});  // version
  bytes.resize(64);
  return bytes;
}

Bytes dsdt(domain::Console console, const AcpiHardware& hardware) {
  using namespace aml;
  const Bytes com1 = device("COM1", concat({name("_HID", eisa_id("PNP0501")), name("_UID", integer(1)),
                                            name("_CRS", resources({io(0x3f8, 8), irq(4)}))}));
  const Bytes rtc =
      device("RTC0", concat({name("_HID", eisa_id("PNP0B00")), name("_CRS", resources({io(0x70, 2), irq(8)}))}));
  const Bytes devices = console == domain::Console::uart ? concat({rtc, com1}) : rtc;
  const Bytes sleep = integer(hardware.s5_sleep_type);
  return table("DSDT", 2, concat({name("_S5_", package({sleep, sleep, integer(0), integer(0)})), scope("_SB_", devices)}));
}

/// Offsets in the FADT (table 5.9). What is not set is 0: not there, or none.
enum Fadt : u64 {
  k_firmware_ctrl = 36, k_dsdt = 40, k_sci_int = 46, k_pm1a_evt_blk = 56, k_pm1a_cnt_blk = 64, k_pm_tmr_blk = 76,
  k_pm1_evt_len = 88, k_pm1_cnt_len = 89, k_pm_tmr_len = 91, k_p_lvl2_lat = 96, k_p_lvl3_lat = 98, k_century = 108, k_iapc_boot_arch = 109,
  k_flags = 112, k_reset_reg = 116, k_reset_value = 128, k_x_dsdt = 140, k_x_pm1a_evt_blk = 148, k_x_pm1a_cnt_blk = 172,
  k_x_pm_tmr_blk = 208, k_fadt_size = 268,
};
constexpr u8 k_fadt_revision = 5;
constexpr u16 k_no_c2 = 101, k_no_c3 = 1001;  // latencies that mean: not supported
// IAPC_BOOT_ARCH (table 5.11)
constexpr u16 k_legacy_devices = 1 << 0, k_8042 = 1 << 1, k_vga_not_present = 1 << 2;
// Flags (table 5.10). PWR_BUTTON stays 0: the power button is fixed hardware; the sleep button is not, and there is none.
constexpr u32 k_wbinvd = 1 << 0, k_proc_c1 = 1 << 2, k_slp_button = 1 << 5, k_fix_rtc = 1 << 6, k_tmr_val_ext = 1 << 8,
              k_reset_reg_sup = 1 << 10;

/// Generic address structure of a port (5.2.3.2); access size 1, 2, 3 for 1, 2, 4 bytes.
void put_port(Bytes& fadt, u64 offset, u16 port, u8 bytes, u8 access) {
  put(fadt, offset, u8{1});  // system I/O space
  put(fadt, offset + 1, static_cast<u8>(bytes * 8));
  put(fadt, offset + 3, access);
  put(fadt, offset + 4, u64{port});
}

Bytes fadt(u32 facs_address, u32 dsdt_address, const AcpiHardware& hardware) {
  Bytes whole(k_fadt_size);  // offsets count from the header
  put(whole, k_firmware_ctrl, facs_address);
  put(whole, k_dsdt, dsdt_address);
  put(whole, k_x_dsdt, u64{dsdt_address});
  put(whole, k_sci_int, u16{hardware.sci});
  put(whole, k_pm1a_evt_blk, u32{hardware.pm1a_event_block});
  put(whole, k_pm1a_cnt_blk, u32{hardware.pm1a_control_block});
  put(whole, k_pm_tmr_blk, u32{hardware.pm_timer_block});
  put(whole, k_pm1_evt_len, u8{4});
  put(whole, k_pm1_cnt_len, u8{2});
  put(whole, k_pm_tmr_len, u8{4});
  put(whole, k_p_lvl2_lat, k_no_c2);
  put(whole, k_p_lvl3_lat, k_no_c3);
  put(whole, k_century, hardware.century_register);
  put(whole, k_iapc_boot_arch, static_cast<u16>(k_legacy_devices | k_8042 | k_vga_not_present));
  put(whole, k_flags, k_wbinvd | k_proc_c1 | k_slp_button | k_fix_rtc | k_tmr_val_ext | k_reset_reg_sup);
  put_port(whole, k_reset_reg, hardware.reset_port, 1, 1);
  put(whole, k_reset_value, hardware.reset_value);
  put_port(whole, k_x_pm1a_evt_blk, hardware.pm1a_event_block, 4, 2);
  put_port(whole, k_x_pm1a_cnt_blk, hardware.pm1a_control_block, 2, 2);
  put_port(whole, k_x_pm_tmr_blk, hardware.pm_timer_block, 4, 3);
  return table("FACP", k_fadt_revision, Bytes(whole.begin() + k_header_size, whole.end()));
}

Bytes rsdp(u64 xsdt_address) {  // 5.2.5.3
  constexpr u64 k_rsdp_size = 36;
  Bytes bytes;
  append_bytes(bytes, as_bytes("RSD PTR "));
  append(bytes, u8{0});
  append_bytes(bytes, as_bytes("OCTAVO"));
  append(bytes, u8{2});   // revision: ACPI 2.0 and later
  append(bytes, u32{0});  // no RSDT
  put(bytes, 8, checksum(bytes));
  append(bytes, static_cast<u32>(k_rsdp_size));
  append(bytes, xsdt_address);
  bytes.resize(k_rsdp_size);
  put(bytes, 32, checksum(bytes));
  return bytes;
}
}  // namespace

Segment acpi_tables(domain::Console console, const AcpiHardware& hardware) {
  constexpr u64 k_table_alignment = 64;  // the FACS wants it, the others get it
  Bytes area;
  const auto add = [&](const Bytes& bytes) {
    const u64 offset = align_up(area.size(), k_table_alignment);
    put_bytes(area, offset, bytes);
    return k_acpi_base + offset;
  };
  area.resize(k_table_alignment);  // the RSDP is filled in last
  const auto facs_address = static_cast<u32>(add(facs()));
  const auto dsdt_address = static_cast<u32>(add(dsdt(console, hardware)));
  Bytes entries;
  append(entries, add(fadt(facs_address, dsdt_address, hardware)));
  put_bytes(area, 0, rsdp(add(table("XSDT", 1, entries))));
  const u64 size = area.size();
  return {"acpi", k_acpi_base, size, std::move(area)};
}
}  // namespace octavo::build
