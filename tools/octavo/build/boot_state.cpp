// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/boot_state.hpp"

#include "lib/address.hpp"

namespace octavo::build {
namespace {

// Segment descriptors, AMD APM 2, section 4.8: base 0, limit 4 GiB in pages, accessed, present, ring 0.
constexpr u64 k_code32 = 0x00cf'9b00'0000'ffff;
constexpr u64 k_code64 = 0x00af'9b00'0000'ffff;
constexpr u64 k_data = 0x00cf'9300'0000'ffff;

// Page-table entries, AMD APM 2, section 5.3.
constexpr u64 k_present = 1 << 0, k_writable = 1 << 1, k_large = 1 << 7;
constexpr u64 k_entries = 512;
}  // namespace

Outcome<domain::BootRegisters> flat_registers(GuestMemory& memory, domain::BootMode mode) {
  Bytes gdt;
  put(gdt, k_boot_cs, mode == domain::BootMode::long64 ? k_code64 : k_code32);
  put(gdt, k_boot_ds, k_data);
  const u64 size = gdt.size();
  domain::BootRegisters registers;
  registers.mode = mode;
  registers.gdt_base = OCTAVO_TRY(
      memory.place({"gdt", 0, size, std::move(gdt)}, k_boot_data_begin, k_below_4g, GuestMemory::From::bottom));
  registers.gdt_limit = static_cast<u32>(size - 1);
  registers.cs = k_boot_cs;
  registers.ds = k_boot_ds;
  return registers;
}

Outcome<u64> identity_page_tables(GuestMemory& memory) {
  constexpr u64 k_directories = 4;  // of 1 GiB each
  constexpr u64 k_size = (2 + k_directories) * k_page_size;
  const auto make = [](u64 base) {
    const u64 pdpt = base + k_page_size;
    Bytes tables(k_size);
    put(tables, 0, pdpt | k_present | k_writable);
    for (u64 i = 0; i < k_directories; ++i) {
      const u64 directory = pdpt + (1 + i) * k_page_size;
      put(tables, k_page_size + i * 8, directory | k_present | k_writable);
      for (u64 j = 0; j < k_entries; ++j) {
        const u64 page = (i * k_entries + j) * k_order_2m.bytes();
        put(tables, directory - base + j * 8, page | k_present | k_writable | k_large);
      }
    }
    return tables;
  };
  // The tables hold their own addresses, so the place comes first.
  const u64 base = OCTAVO_TRY(memory.place({"page-tables", 0, k_size, {}}, k_boot_data_begin, k_below_4g, GuestMemory::From::bottom));
  memory.fill(base, make(base));
  return base;
}

Outcome<u64> place_text(GuestMemory& memory, std::string label, std::string_view text) {
  Bytes bytes;
  append_text(bytes, text);
  const u64 size = bytes.size();
  return memory.place({std::move(label), 0, size, std::move(bytes)}, k_boot_data_begin, k_below_4g, GuestMemory::From::bottom);
}
}  // namespace octavo::build
