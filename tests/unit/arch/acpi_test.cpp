// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "arch/x86/parse/acpi.hpp"
#include "tests/unit/arch/bytes_builder.hpp"

using namespace octavo;
using namespace octavo::arch;
using namespace octavo::arch::acpi;
using test::Builder;
using test::Cut;

namespace {
constexpr Signature k_madt{'A', 'P', 'I', 'C'}, k_fadt{'F', 'A', 'C', 'P'};

Builder header(std::string_view signature) {
  Builder b;
  b.text(signature).put<u32>(0).put<u8>(1).put<u8>(0).text("OCTAVOTESTTABLE").until(k_header_size);
  return b;
}
Builder& finish(Builder& b) { return b.set<u32>(4, static_cast<u32>(b.bytes.size())).checksum(9, b.bytes.size()); }

Builder madt() {
  Builder b = header("APIC");
  b.put<u32>(0xfee00000).put<u32>(1);
  b.put<u8>(0).put<u8>(8).put<u8>(0).put<u8>(0).put<u32>(1);                      // CPU 0
  b.put<u8>(0).put<u8>(8).put<u8>(1).put<u8>(4).put<u32>(1);                      // CPU with APIC id 4
  b.put<u8>(0).put<u8>(8).put<u8>(2).put<u8>(6).put<u32>(0);                      // not enabled
  b.put<u8>(9).put<u8>(16).put<u16>(0).put<u32>(300).put<u32>(1).put<u32>(7);     // x2APIC 300
  b.put<u8>(1).put<u8>(12).put<u8>(2).put<u8>(0).put<u32>(0xfec00000).put<u32>(0);
  b.put<u8>(2).put<u8>(10).put<u8>(0).put<u8>(0).put<u32>(2).put<u16>(0);         // PIT on input 2
  b.put<u8>(2).put<u8>(10).put<u8>(0).put<u8>(9).put<u32>(9).put<u16>(0xf);       // SCI: level, low
  b.put<u8>(0x7f).put<u8>(4).put<u16>(0);                                         // a kind of the future
  return finish(b);
}

Builder fadt() {
  Builder b = header("FACP");
  b.until(244);
  b.set<u32>(40, 0x7fe0000).set<u32>(48, 0xb2).set<u8>(52, 0xa0).set<u32>(64, 0x604).set<u32>(76, 0x608).set<u8>(91, 4);
  b.set<u32>(112, 1u << 8 | 1u << 10).set<u8>(116, 1).set<u64>(120, 0xcf9).set<u8>(128, 0x0f);
  return finish(b);
}

Builder root_pointer() {
  Builder b;
  b.text("RSD PTR ").put<u8>(0).text("OCTAVO").put<u8>(2).put<u32>(0x1000).put<u32>(36).put<u64>(0x1'2345'6000).put<u32>(0);
  b.checksum(8, 20).checksum(32, 36);
  return b;
}
}  // namespace

TEST_CASE("root pointer: XSDT if there is one, RSDT for version 1 or a bad extended checksum") {
  Builder b = root_pointer();
  auto parsed = parse_root_pointer(b.view());
  REQUIRE(parsed);
  CHECK(parsed->is_xsdt);
  CHECK(parsed->table == Hpa{0x1'2345'6000});
  b.bytes[32] ^= 1;
  parsed = parse_root_pointer(b.view());
  REQUIRE(parsed);
  CHECK(!parsed->is_xsdt);
  CHECK(parsed->table == Hpa{0x1000});
  CHECK(parse_root_pointer(b.view().first(20)));
}

TEST_CASE("root pointer: truncated or damaged in its first 20 bytes, it is none") {
  const Builder b = root_pointer();
  for (usize size = 0; size < 20; ++size) CHECK(!parse_root_pointer(Cut(b.view(), size).view()));
  for (usize at = 0; at < 20; ++at) {
    Builder damaged = b;
    damaged.bytes[at] ^= 0x10;
    CHECK(!parse_root_pointer(damaged.view()));
  }
}

TEST_CASE("root pointer is found on a multiple of 16 only") {
  Builder area;
  area.zeros(48).text(std::string_view{reinterpret_cast<const char*>(root_pointer().bytes.data()), 36}).zeros(8);
  CHECK(find_root_pointer(area.view()) == 48u);
  area.bytes.insert(area.bytes.begin(), 8, 0);
  CHECK(!find_root_pointer(area.view()));
}

TEST_CASE("MADT: CPUs, I/O APIC and overrides") {
  const Builder b = madt();
  const auto checked = check_table(b.view(), k_madt);
  REQUIRE(checked);
  const auto parsed = parse_madt(*checked);
  REQUIRE(parsed);
  CHECK(parsed->local_apic == Hpa{0xfee00000});
  CHECK(parsed->has_legacy_pics);
  REQUIRE(parsed->cpu_count == 3);
  CHECK(parsed->apic_ids[0] == 0);
  CHECK(parsed->apic_ids[1] == 4);
  CHECK(parsed->apic_ids[2] == 300);
  REQUIRE(parsed->io_apic_count == 1);
  CHECK(parsed->io_apics[0].base == Hpa{0xfec00000});
  CHECK(parsed->isa[0].interrupt == 2);
  CHECK(parsed->isa[4].interrupt == 4);
  CHECK(parsed->isa[4].trigger == Trigger::edge);
  CHECK(parsed->isa[9].trigger == Trigger::level);
  CHECK(parsed->isa[9].polarity == Polarity::low);
}

TEST_CASE("MADT: more CPUs than fit are counted, a CPU listed twice is one") {
  Builder b = header("APIC");
  b.put<u32>(0xfee00000).put<u32>(0);
  for (u32 id = 0; id < k_max_cpus + 5; ++id) {
    for (int twice = 0; twice < 2; ++twice) b.put<u8>(9).put<u8>(16).put<u16>(0).put<u32>(id).put<u32>(1).put<u32>(id);
  }
  finish(b);
  const auto parsed = parse_madt(b.view());
  REQUIRE(parsed);
  CHECK(parsed->cpu_count == k_max_cpus);
  CHECK(parsed->cpus_ignored == 10);
}

TEST_CASE("tables: every truncation and every damaged byte is noticed") {
  for (const auto& [table, signature] : {std::pair{madt(), k_madt}, std::pair{fadt(), k_fadt}}) {
    REQUIRE(check_table(table.view(), signature));
    for (usize size = 0; size < table.bytes.size(); ++size) CHECK(!check_table(Cut(table.view(), size).view(), signature));
    for (usize at = 0; at < table.bytes.size(); ++at) {
      Builder damaged = table;
      damaged.bytes[at] ^= 0x04;
      CHECK(!check_table(damaged.view(), signature));
    }
  }
}

TEST_CASE("tables with a right checksum and any one wrong byte are parsed without harm") {
  // Only the sanitizer can fail here, and an endless loop.
  for (usize at = k_header_size; at < madt().bytes.size(); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      Builder b = madt();
      b.bytes[at] = static_cast<u8>(value);
      const Cut exact(b.view(), b.bytes.size());
      const auto parsed = parse_madt(exact.view());
      if (parsed) CHECK(parsed->cpu_count <= k_max_cpus);
    }
  }
  for (usize size = 0; size < fadt().bytes.size(); ++size) CHECK(parse_fadt(Cut(fadt().view(), size).view()).has_value() == (size >= 116));
}

TEST_CASE("MADT: an entry of length 0 is corrupt, not endless") {
  Builder b = header("APIC");
  b.put<u32>(0).put<u32>(0).put<u8>(0).put<u8>(0);
  CHECK(parse_madt(b.view()).error() == Error::corrupt);
}

TEST_CASE("FADT: timer, PM1, reset, the ACPI 1 table has no reset register") {
  const auto parsed = parse_fadt(fadt().view());
  REQUIRE(parsed);
  CHECK(parsed->dsdt == Hpa{0x7fe0000});
  CHECK(parsed->pm1a_control == 0x604);
  CHECK(parsed->pm1b_control == 0);
  CHECK(parsed->pm_timer == 0x608);
  CHECK(parsed->pm_timer_32_bits);
  REQUIRE(parsed->reset);
  CHECK(parsed->reset->space == Register::Space::port);
  CHECK(parsed->reset->address == 0xcf9);
  CHECK(parsed->reset_value == 0x0f);
  const auto old = parse_fadt(fadt().view().first(116));
  REQUIRE(old);
  CHECK(!old->reset);
}

TEST_CASE("FADT: a 64-bit DSDT address wins over the 32-bit one") {
  Builder b = fadt();
  b.set<u64>(140, 0x1'0000'2000);
  CHECK(parse_fadt(b.view())->dsdt == Hpa{0x1'0000'2000});
}

TEST_CASE("root tables: entries of 4 and of 8 bytes") {
  Builder rsdt = header("RSDT");
  rsdt.put<u32>(0x1000).put<u32>(0x2000);
  CHECK(root_table_entries(rsdt.view(), false) == 2);
  CHECK(root_table_entry(rsdt.view(), false, 1) == Hpa{0x2000});
  Builder xsdt = header("XSDT");
  xsdt.put<u64>(0x1'0000'0000).zeros(4);
  CHECK(root_table_entries(xsdt.view(), true) == 1);
  CHECK(root_table_entry(xsdt.view(), true, 0) == Hpa{0x1'0000'0000});
}

TEST_CASE("S5: as QEMU, SeaBIOS and others write it") {
  const auto find = [](std::initializer_list<int> aml) {
    std::vector<u8> bytes;
    for (const int byte : aml) bytes.push_back(static_cast<u8>(byte));
    return find_soft_off(bytes);
  };
  const auto bytes = find({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 7, 0, 0});
  REQUIRE(bytes);
  CHECK(bytes->pm1a == 5);
  CHECK(bytes->pm1b == 7);
  const auto short_ints = find({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x01, 0x00, 0x00});
  REQUIRE(short_ints);
  CHECK(short_ints->pm1a == 0);
  CHECK(short_ints->pm1b == 1);
  const auto rooted_long = find({0xff, 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x47, 0x00, 0x04, 0x0a, 3, 0x0a, 3, 0, 0});
  REQUIRE(rooted_long);
  CHECK(rooted_long->pm1a == 3);
}

TEST_CASE("S5: a mention that is no definition, a type above 7, and every truncation give nothing") {
  std::vector<u8> aml{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 5};
  for (usize size = 0; size < aml.size(); ++size) CHECK(!find_soft_off(Cut(aml, size).view()));
  CHECK(find_soft_off(aml));
  aml[9] = 8;
  CHECK(!find_soft_off(aml));
  aml[9] = 5;
  aml[0] = 0x10;
  CHECK(!find_soft_off(aml));
}
