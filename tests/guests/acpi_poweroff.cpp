// SPDX-License-Identifier: Apache-2.0
// Power off as ACPI says: FADT's PM1a control block and DSDT's \_S5 are found from the RSDP; without tables, port 0x604
// is tried as the board documents it.
#include "machine.hpp"
#include "shutdown.hpp"

namespace {
constexpr u16 k_sleep_enable = 1 << 13;

word find_rsdp() {
  for (word a = 0xE0000; a < 0x100000; a += 16)
    if (*at<u64>(a) == 0x2052545020445352) return a;  // "RSD PTR "
  return 0;
}
u32 signature(word table) {
  return *at<u32>(table);
}

struct Sleep {
  u16 port, type;
};
bool from_tables(Sleep& s) {
  const word rsdp = find_rsdp();
  if (rsdp == 0) return false;
  const bool wide = *at<u8>(rsdp + 15) >= 2 && *at<u64>(rsdp + 24) != 0;  // an XSDT
  const word root = wide ? *at<u64>(rsdp + 24) : word{*at<u32>(rsdp + 16)}, entry = wide ? 8 : 4;
  const word end_of_root = root + *at<u32>(root + 4);
  for (word e = root + 36; e + entry <= end_of_root; e += entry) {
    const word fadt = wide ? word{*at<u32>(e)} | word{*at<u32>(e + 4)} << 32 : word{*at<u32>(e)};
    if (signature(fadt) != 0x50434146) continue;  // "FACP"
    s.port = static_cast<u16>(*at<u32>(fadt + 64));
    const word dsdt = *at<u32>(fadt + 40), end = dsdt + *at<u32>(dsdt + 4);
    for (word a = dsdt + 36; a + 8 < end; ++a)
      if (*at<u32>(a) == 0x5F35535F) {  // "_S5_", PackageOp, length, count, then the first byte constant
        const word value = a + 7;
        s.type = *at<u8>(value) == 0x0A ? *at<u8>(value + 1) : *at<u8>(value) == 1 ? u8{1} : u8{0};
        return true;
      }
  }
  return false;
}
}  // namespace

void guest_main() {
  Sleep s{0x604, static_cast<u16>(machine::bare() ? 0 : 5)};
  print(from_tables(s) ? "# from the ACPI tables: " : "# no ACPI tables: ", "port ", hex(s.port), " type ", u32{s.type},
        "\n");
  expect_the_end("power off", [=] { x86::out<u16>(s.port, static_cast<u16>(s.type << 10 | k_sleep_enable)); });
}
