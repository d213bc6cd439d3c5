// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/acpi.hpp"

#include "arch/x86/layout.hpp"
#include "lib/log.hpp"

namespace octavo::arch::acpi {
namespace {
constinit Machine found;

constexpr Signature k_rsdt{'R', 'S', 'D', 'T'}, k_xsdt{'X', 'S', 'D', 'T'}, k_madt{'A', 'P', 'I', 'C'}, k_fadt{'F', 'A', 'C', 'P'},
    k_dsdt{'D', 'S', 'D', 'T'};

/// `size` bytes at hpa, as far as the boot page tables reach.
Bytes early_bytes(Hpa hpa, u64 size) {
  if (!range_within(hpa.value(), size, k_boot_mapped)) return {};
  return {static_cast<const u8*>(direct_map(hpa)), size};
}

/// The bytes that a table's header claims; empty if it has none that makes sense.
Bytes table_at(Hpa hpa) {
  constexpr u32 longest = 16 << 20;
  const auto header = parse_header(early_bytes(hpa, k_header_size));
  return header && header->length <= longest ? early_bytes(hpa, header->length) : Bytes{};
}

Bytes search_bios() {
  constexpr Hpa bios{0xe0000}, ebda_pointer{0x40e};
  const u64 ebda = u64{read_at<u16>(early_bytes(ebda_pointer, 2), 0).value_or(0)} << 4;
  for (const Bytes area : {early_bytes(Hpa{ebda}, 1024), early_bytes(bios, 0x20000)}) {
    if (const auto at = find_root_pointer(area)) return area.subspan(*at);
  }
  return {};
}

void take(Bytes table) {
  if (const auto madt = check_table(table, k_madt)) {
    if (const auto parsed = parse_madt(*madt)) found.madt = *parsed;
    else log::warning("ACPI: the MADT is corrupt");
  } else if (const auto fadt = check_table(table, k_fadt)) {
    if (const auto parsed = parse_fadt(*fadt)) found.fadt = *parsed;
    else log::warning("ACPI: the FADT is corrupt");
  } else if (const auto header = parse_header(table); header && (header->signature == k_madt || header->signature == k_fadt)) {
    log::warning("ACPI: a table with a wrong checksum is ignored");
  }
}
}  // namespace

const Machine& machine() { return found; }

void discover(Bytes root_pointer) {
  if (!parse_root_pointer(root_pointer)) root_pointer = search_bios();
  const auto root = parse_root_pointer(root_pointer);
  if (!root) return log::warning("ACPI: no root pointer");
  const auto list = check_table(table_at(root->table), root->is_xsdt ? k_xsdt : k_rsdt);
  if (!list) return log::warning("ACPI: the root table at {:x} is corrupt or beyond 4 GiB", root->table);
  for (usize i = 0; i < root_table_entries(*list, root->is_xsdt); ++i) take(table_at(root_table_entry(*list, root->is_xsdt, i)));
  if (!found.fadt) return log::warning("ACPI: no FADT, so no power off");
  if (const auto dsdt = check_table(table_at(found.fadt->dsdt), k_dsdt)) found.soft_off = find_soft_off(*dsdt);
  if (!found.soft_off) log::warning("ACPI: the DSDT does not say how to power off");
}
}  // namespace octavo::arch::acpi
