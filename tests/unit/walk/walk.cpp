// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/walk/rig.hpp"

using namespace octavo;
using namespace octavo::test;
using walk::AccessKind;
using walk::Failure;
using walk::Privilege;

namespace {
constexpr u64 k_rwup = 7;

/// 4-level tables at 0x1000..0x4000 that map linear 0..2M by 4K pages onto themselves, user and writable.
struct Identity {
  Identity() : memory(0x20000) {
    memory.put(0x1000, 8, 0x2000 | k_rwup);
    memory.put(0x2000, 8, 0x3000 | k_rwup);
    memory.put(0x3000, 8, 0x4000 | k_rwup);
    for (u64 page = 0; page < 512; ++page) memory.put(0x4000 + page * 8, 8, page << 12 | k_rwup);
    walk::PagingRegisters registers;
    registers.cr0 = u64{1} << 31 | 1u << 16;
    registers.cr3 = 0x1000;
    registers.cr4 = 1u << 5;
    registers.efer = 0xD00;
    mode = walk::make_mode(registers, {});
  }
  FlatMemory memory;
  walk::Mode mode;
};
constexpr walk::Access k_write{AccessKind::write};
constexpr walk::Access k_read{AccessKind::read};
}  // namespace

TEST_CASE("the canonical hole is reported apart, its edges are not") {
  Identity guest;
  for (const u64 address : {0x0000800000000000ull, 0xFFFF7FFFFFFFFFFFull, 0x8000000000000000ull}) {
    const auto result = walk::walk(guest.memory, guest.mode, k_read, Gva{address});
    REQUIRE(!result);
    CHECK(result.error().kind == Failure::Kind::non_canonical);
    CHECK(result.error().address == Gva{address});
  }
  for (const u64 address : {0x00007FFFFFFFFFFFull, 0xFFFF800000000000ull}) {
    const auto result = walk::walk(guest.memory, guest.mode, k_read, Gva{address});
    REQUIRE(!result);
    CHECK(result.error().kind == Failure::Kind::page_fault);
  }
}

TEST_CASE("asking without marking leaves memory as it was") {
  Identity guest;
  const auto before = guest.memory.bytes;
  const auto asked = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5123}, walk::Marking::leave);
  REQUIRE(asked);
  CHECK(asked->gpa == Gpa{0x5123});
  CHECK(!asked->dirty);
  CHECK(guest.memory.bytes == before);
  const auto done = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5123});
  REQUIRE(done);
  CHECK(done->dirty);
  REQUIRE(done->steps == 4);
  CHECK(done->path[3].address == Gpa{0x4028});
  CHECK(done->path[3].entry == guest.memory.get(0x4028, 8));
  CHECK(done->path[3].entry == (0x5000 | k_rwup | 0x60));
  CHECK(done->path[0].entry == (0x2000 | k_rwup | 0x20));
}

TEST_CASE("a denied write sets neither A nor D") {
  Identity guest;
  guest.memory.put(0x4028, 8, 0x5001);
  const auto before = guest.memory.bytes;
  const auto result = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5000});
  REQUIRE(!result);
  CHECK(result.error().error_code == (walk::k_fault_present | walk::k_fault_write));
  CHECK(guest.memory.bytes == before);
}

TEST_CASE("an entry that changes under the walk is walked again") {
  Identity guest;
  unsigned exchanges = 0;
  guest.memory.before_exchange = [&](Gpa gpa) {
    if (gpa == Gpa{0x4028} && exchanges++ == 0) guest.memory.put(0x4028, 8, 0x9000 | k_rwup);
  };
  const auto result = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5010});
  REQUIRE(result);
  CHECK(result->gpa == Gpa{0x9010});
  CHECK(guest.memory.get(0x4028, 8) == (0x9000 | k_rwup | 0x60));
}

TEST_CASE("an entry that is taken away under the walk faults") {
  Identity guest;
  guest.memory.before_exchange = [&](Gpa gpa) {
    if (gpa == Gpa{0x4028}) guest.memory.put(0x4028, 8, 0);
  };
  const auto result = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5010});
  REQUIRE(!result);
  CHECK(result.error().error_code == walk::k_fault_write);
  CHECK(guest.memory.get(0x4028, 8) == 0);
}

TEST_CASE("entries that never stop changing end in `contended`") {
  Identity guest;
  unsigned exchanges = 0;
  guest.memory.before_exchange = [&](Gpa) { guest.memory.put(0x1000, 8, 0x2000 | k_rwup | u64{++exchanges} << 52); };
  const auto result = walk::walk(guest.memory, guest.mode, k_write, Gva{0x5010});
  REQUIRE(!result);
  CHECK(result.error().kind == Failure::Kind::contended);
  CHECK(exchanges == 8);
}

TEST_CASE("PDPTEs are loaded from 32-byte aligned memory and checked when present") {
  FlatMemory memory(0x4000);
  for (u64 i = 0; i < 4; ++i) memory.put(0x1020 + i * 8, 8, (0x2000 + i * 0x1000) | 1);
  const auto loaded = walk::load_pdptes(memory, 0x1020 | 0x18, 40);
  REQUIRE(loaded);
  CHECK((*loaded)[3] == 0x5001);
  memory.put(0x1028, 8, 0x2001 | u64{1} << 40);
  CHECK(walk::load_pdptes(memory, 0x1020, 40).error() == Error::not_permitted);
  CHECK(walk::load_pdptes(memory, 0x1020, 41));
  memory.put(0x1028, 8, 0x2000 | u64{1} << 40);  // not present: nothing is reserved
  CHECK(walk::load_pdptes(memory, 0x1020, 40));
  CHECK(walk::load_pdptes(memory, 0x10000, 40).error() == Error::not_found);
}

TEST_CASE("a copy crosses pages that are not neighbours") {
  Identity guest;
  guest.memory.put(0x4000 + 6 * 8, 8, 0xA000 | k_rwup);  // linear 0x6000 is at 0xA000
  std::array<u8, 16> in{};
  for (u8 i = 0; i < 16; ++i) in[i] = static_cast<u8>(i + 1);
  REQUIRE(walk::copy_to_guest(guest.memory, guest.mode, k_write, Gva{0x5FFA}, in));
  CHECK(guest.memory.bytes[0x5FFF] == 6);
  CHECK(guest.memory.bytes[0xA000] == 7);
  CHECK(guest.memory.bytes[0xA009] == 16);
  std::array<u8, 16> out{};
  REQUIRE(walk::copy_from_guest(guest.memory, guest.mode, k_read, Gva{0x5FFA}, out));
  CHECK(out == in);
  CHECK(guest.memory.get(0x4028, 8) == (0x5000 | k_rwup | 0x60));
}

TEST_CASE("a store that faults in its second page leaves both pages, and the first one's D, alone") {
  Identity guest;
  guest.memory.put(0x4030, 8, 0xA000);
  const auto before = guest.memory.bytes;
  const std::array<u8, 16> in{1, 2, 3};
  const auto result = walk::copy_to_guest(guest.memory, guest.mode, k_write, Gva{0x5FFA}, in);
  REQUIRE(!result);
  CHECK(result.error().kind == walk::CopyFailure::Kind::translation);
  CHECK(result.error().walk.address == Gva{0x6000});
  CHECK(result.error().walk.error_code == walk::k_fault_write);
  CHECK(guest.memory.bytes == before);
}

TEST_CASE("memory that refuses says how much was done before") {
  Identity guest;
  guest.memory.put(0x4030, 8, 0xA0000 | k_rwup);  // beyond the memory
  const std::array<u8, 16> in{1, 2, 3};
  const auto result = walk::copy_to_guest(guest.memory, guest.mode, k_write, Gva{0x5FFA}, in);
  REQUIRE(!result);
  CHECK(result.error().kind == walk::CopyFailure::Kind::memory);
  CHECK(result.error().gpa == Gpa{0xA0000});
  CHECK(result.error().done == 6);
}

TEST_CASE("copies are bounded, empty ones touch nothing") {
  Identity guest;
  std::vector<u8> large(walk::k_copy_limit + 1);
  const auto result = walk::copy_from_guest(guest.memory, guest.mode, k_read, Gva{0x5000}, large);
  REQUIRE(!result);
  CHECK(result.error().kind == walk::CopyFailure::Kind::too_large);
  CHECK(walk::copy_from_guest(guest.memory, guest.mode, k_read, Gva{0x800000000000}, std::span<u8>{}));
}

TEST_CASE("without paging addresses wrap at 4 GiB") {
  FlatMemory memory(0x3000);
  const walk::Mode mode = walk::make_mode({}, {});
  memory.bytes[0] = 0x5A;
  std::array<u8, 2> out{};
  const auto result = walk::copy_from_guest(memory, mode, k_read, Gva{0xFFFFFFFF}, out);
  REQUIRE(!result);
  CHECK(result.error().gpa == Gpa{0xFFFFFFFF});
  REQUIRE(walk::copy_from_guest(memory, mode, k_read, Gva{0x100000000}, out));
  CHECK(out[0] == 0x5A);
}

TEST_CASE("instruction bytes stop at the page that cannot be fetched") {
  Identity guest;
  guest.memory.put(0x4030, 8, 0x6007 | u64{1} << 63);  // XD
  guest.memory.bytes[0x5FFE] = 0x0F;
  guest.memory.bytes[0x5FFF] = 0xA2;
  std::array<u8, 15> out{};
  const auto fetched = walk::fetch_instruction(guest.memory, guest.mode, Privilege::user, Gva{0x5FFE}, out);
  CHECK(fetched.size == 2);
  CHECK(out[1] == 0xA2);
  REQUIRE(fetched.stopped_by);
  CHECK(fetched.stopped_by->walk.error_code == (walk::k_fault_present | walk::k_fault_user | walk::k_fault_fetch));
}
