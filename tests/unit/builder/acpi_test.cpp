// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/acpi_tables.hpp"

#include <catch2/catch.hpp>
#include <numeric>

#include "devices/acpi_pm.hpp"
#include "tools/octavo/build/aml.hpp"

using namespace octavo;
using namespace octavo::build;

namespace {

u8 sum(ByteView bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), u8{0}, [](u8 a, std::byte b) { return static_cast<u8>(a + std::to_integer<u8>(b)); });
}

/// The table at a guest-physical address, its length and checksum checked.
ByteView table_at(const Segment& segment, u64 gpa, std::string_view signature) {
  const ByteView bytes = ByteView{segment.data}.subspan(gpa - segment.gpa);
  REQUIRE(std::ranges::equal(bytes.first(4), as_bytes(signature)));
  const ByteView table = bytes.first(*get<u32>(bytes, 4));
  CHECK(sum(table) == 0);
  return table;
}

Bytes raw(std::initializer_list<int> list) {
  Bytes bytes;
  for (const int byte : list) append(bytes, static_cast<u8>(byte));
  return bytes;
}
}  // namespace

TEST_CASE("acpi: from the RSDP every table is found, with a right checksum") {
  const Segment segment = acpi_tables(domain::Console::uart);
  CHECK(segment.gpa == 0xf0000);
  const ByteView rsdp = ByteView{segment.data}.first(36);
  REQUIRE(std::ranges::equal(rsdp.first(8), as_bytes("RSD PTR ")));
  CHECK(sum(rsdp.first(20)) == 0);
  CHECK(sum(rsdp) == 0);
  CHECK(*get<u8>(rsdp, 15) == 2);
  CHECK(*get<u32>(rsdp, 20) == 36);

  const ByteView xsdt = table_at(segment, *get<u64>(rsdp, 24), "XSDT");
  REQUIRE(xsdt.size() == 44);  // one entry: no MADT
  const ByteView fadt = table_at(segment, *get<u64>(xsdt, 36), "FACP");
  REQUIRE(fadt.size() == 268);
  const u64 facs = *get<u32>(fadt, 36);
  CHECK(facs % 64 == 0);
  CHECK(std::ranges::equal(ByteView{segment.data}.subspan(facs - segment.gpa, 4), as_bytes("FACS")));
  CHECK(*get<u64>(fadt, 140) == *get<u32>(fadt, 40));
  table_at(segment, *get<u32>(fadt, 40), "DSDT");
}

TEST_CASE("acpi: the tables name the ports that the devices of the hypervisor answer") {
  const AcpiHardware hardware;
  CHECK(hardware.pm1a_event_block == devices::AcpiPm::k_event_port);
  CHECK(hardware.pm1a_control_block == devices::AcpiPm::k_control_port);
  CHECK(hardware.pm_timer_block == devices::AcpiPm::k_timer_port);
  CHECK(hardware.s5_sleep_type == devices::AcpiPm::k_soft_off);
}

TEST_CASE("acpi: the FADT describes the machine") {
  const Segment segment = acpi_tables(domain::Console::uart);
  const ByteView xsdt = table_at(segment, *get<u64>(segment.data, 24), "XSDT");
  const ByteView fadt = table_at(segment, *get<u64>(xsdt, 36), "FACP");
  CHECK(*get<u16>(fadt, 46) == 9);        // SCI
  CHECK(*get<u32>(fadt, 48) == 0);        // no SMI command port: ACPI is on from the start
  CHECK(*get<u32>(fadt, 56) == 0x600);
  CHECK(*get<u8>(fadt, 88) == 4);
  CHECK(*get<u32>(fadt, 64) == 0x604);
  CHECK(*get<u8>(fadt, 89) == 2);
  CHECK(*get<u32>(fadt, 76) == 0x608);
  CHECK(*get<u8>(fadt, 91) == 4);
  CHECK(*get<u16>(fadt, 109) == 7);       // legacy devices, 8042, no VGA; CMOS RTC present
  CHECK(*get<u8>(fadt, 108) == 0x32);     // century
  const u32 flags = *get<u32>(fadt, 112);
  CHECK((flags & 1 << 4) == 0);           // the power button is fixed hardware
  CHECK((flags & 1 << 5) != 0);           // the sleep button is not
  CHECK((flags & 1 << 8) != 0);           // the timer has 32 bits
  CHECK((flags & 1 << 10) != 0);          // reset register
  CHECK((flags & 1 << 20) == 0);          // not hardware-reduced
  CHECK(*get<u8>(fadt, 116) == 1);        // in I/O space
  CHECK(*get<u64>(fadt, 120) == 0xcf9);
  CHECK(*get<u8>(fadt, 128) == 6);
  for (const auto& [field, port] : {std::pair{148, 0x600}, {172, 0x604}, {208, 0x608}}) {
    CHECK(*get<u8>(fadt, static_cast<u64>(field)) == 1);
    CHECK(*get<u64>(fadt, static_cast<u64>(field) + 4) == static_cast<u64>(port));
  }
}

TEST_CASE("acpi: a domain without a console has no COM1") {
  const auto holds = [](const Segment& segment, std::string_view text) {
    return !std::ranges::search(segment.data, as_bytes(text)).empty();
  };
  CHECK(holds(acpi_tables(domain::Console::uart), "COM1"));
  CHECK_FALSE(holds(acpi_tables(domain::Console::none), "COM1"));
  CHECK(holds(acpi_tables(domain::Console::none), "RTC0"));
}

TEST_CASE("aml: terms have the encodings of the specification") {
  CHECK(aml::integer(0) == raw({0x00}));
  CHECK(aml::integer(1) == raw({0x01}));
  CHECK(aml::integer(5) == raw({0x0a, 5}));
  CHECK(aml::integer(0x3f8) == raw({0x0b, 0xf8, 0x03}));
  CHECK(aml::integer(0x12345678) == raw({0x0c, 0x78, 0x56, 0x34, 0x12}));
  CHECK(aml::eisa_id("PNP0501") == raw({0x0c, 0x41, 0xd0, 0x05, 0x01}));
  CHECK(aml::eisa_id("PNP0B00") == raw({0x0c, 0x41, 0xd0, 0x0b, 0x00}));
  CHECK(aml::name("_S5_", aml::package({aml::integer(5), aml::integer(0)})) ==
        raw({0x08, '_', 'S', '5', '_', 0x12, 5, 2, 0x0a, 5, 0x00}));
  CHECK(aml::io(0x3f8, 8) == raw({0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8}));
  CHECK(aml::irq(4) == raw({0x22, 0x10, 0x00}));
  CHECK(aml::resources({aml::irq(8)}) == raw({0x11, 8, 0x0a, 5, 0x22, 0x00, 0x01, 0x79, 0x00}));
}

TEST_CASE("aml: lengths of one byte and of two") {
  const Bytes shortest = aml::scope("ABCD", Bytes(58));  // 1 + 4 + 58 = 63
  CHECK(*get<u8>(shortest, 1) == 63);
  CHECK(shortest.size() == 64);
  const Bytes longer = aml::scope("ABCD", Bytes(59));  // 2 + 4 + 59 = 65
  CHECK(*get<u8>(longer, 1) == (0x40 | (65 & 0xf)));
  CHECK(*get<u8>(longer, 2) == 65 >> 4);
  CHECK(longer.size() == 66);
}
