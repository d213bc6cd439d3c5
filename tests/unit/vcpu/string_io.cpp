// SPDX-License-Identifier: Apache-2.0
#include "vcpu/string_io.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "tests/unit/walk/rig.hpp"

using namespace octavo;
using namespace octavo::test;
using vcpu::SegmentName;
using vcpu::StringContext;
using vcpu::StringIo;
using vcpu::StringProgress;
using vcpu::StringRegisters;
using Kind = StringProgress::Kind;

namespace {
struct Ports final : vcpu::PortAccess {
  u32 read(u16 port, unsigned size) override {
    CHECK(port == 0x1F0);
    const u32 value = 0xA1B2C300 + static_cast<u32>(++reads);
    return value & static_cast<u32>(low_bits(size * 8));
  }
  void write(u16 port, unsigned, u32 value) override {
    CHECK(port == 0x1F0);
    written.push_back(value);
  }
  unsigned reads = 0;
  std::vector<u32> written{};
};

/// Flat memory without paging, so that linear addresses are where they say.
struct Rig {
  Rig() : memory(0x20000) {
    context.mode = walk::make_mode({}, {});
    context.segment.limit = 0xFFFFFFFF;
    io.port = 0x1F0;
    io.address_bits = 32;
  }
  StringProgress run(unsigned budget = vcpu::k_string_budget) {
    return vcpu::execute_string_io(io, context, registers, memory, ports, budget);
  }
  /// 4-level tables that map linear 0..2M by 4K pages onto themselves.
  void page() {
    memory.put(0x1000, 8, 0x2007);
    memory.put(0x2000, 8, 0x3007);
    memory.put(0x3000, 8, 0x4007);
    for (u64 i = 0; i < 512; ++i) memory.put(0x4000 + i * 8, 8, i << 12 | 7);
    walk::PagingRegisters r;
    r.cr0 = u64{1} << 31 | 1u << 16;
    r.cr3 = 0x1000;
    r.cr4 = 1u << 5;
    r.efer = 0xD00;
    context.mode = walk::make_mode(r, {});
    context.long_mode_code = true;
    io.address_bits = 64;
  }
  FlatMemory memory;
  Ports ports{};
  StringIo io{};
  StringContext context{};
  StringRegisters registers{};
};
}  // namespace

TEST_CASE("INS without REP stores one element and leaves RCX alone") {
  for (const u8 size : {u8{1}, u8{2}, u8{4}}) {
    Rig rig;
    rig.io.is_in = true;
    rig.io.size = size;
    rig.registers = {77, 5, 0x8000, false};
    const auto progress = rig.run();
    CHECK(progress.kind == Kind::complete);
    CHECK(progress.elements == 1);
    CHECK(rig.registers.rcx == 77);
    CHECK(rig.registers.rsi == 5);
    CHECK(rig.registers.rdi == 0x8000u + size);
    CHECK(rig.memory.get(0x8000, 8) == (0xA1B2C301 & low_bits(size * 8u)));
  }
}

TEST_CASE("REP OUTS against a loop written out, over sizes, directions and address widths") {
  std::mt19937_64 random(3);
  for (const u8 bits : {u8{16}, u8{32}, u8{64}}) {
    for (const u8 size : {u8{1}, u8{2}, u8{4}}) {
      for (const bool backwards : {false, true}) {
        for (u64 count = 0; count < 12; ++count) {
          Rig rig;
          rig.io.size = size;
          rig.io.address_bits = bits;
          rig.io.repeat = true;
          for (u8& byte : rig.memory.bytes) byte = static_cast<u8>(random());
          const u64 high = bits == 16 ? 0xABCD'0000 : bits == 32 ? u64{0xABCD} << 32 : 0;
          rig.registers = {high | count, high | 0x8000, 9, backwards};
          CHECK(rig.run().kind == Kind::complete);
          REQUIRE(rig.ports.written.size() == count);
          const u64 stride = backwards ? u64{0} - size : size;
          for (u64 i = 0; i < count; ++i) CHECK(rig.ports.written[i] == rig.memory.get(0x8000 + i * stride, size));
          const bool kept = bits == 16 || count == 0;  // a 32-bit result is zero-extended
          CHECK(rig.registers.rcx == (kept ? high : 0));
          CHECK(rig.registers.rsi == ((kept ? high : 0) | ((0x8000 + count * stride) & low_bits(bits))));
          CHECK(rig.registers.rdi == 9);
        }
      }
    }
  }
}

TEST_CASE("a long REP is done in parts, each element once") {
  Rig rig;
  rig.io.is_in = true;
  rig.io.repeat = true;
  rig.io.size = 2;
  rig.registers = {150, 0, 0x8000, false};
  CHECK(rig.run().kind == Kind::unfinished);
  CHECK(rig.registers.rcx == 86);
  CHECK(rig.registers.rdi == 0x8080);
  CHECK(rig.run().kind == Kind::unfinished);
  const auto last = rig.run();
  CHECK(last.kind == Kind::complete);
  CHECK(last.elements == 22);
  CHECK(rig.ports.reads == 150);
  for (u64 i = 0; i < 150; ++i) REQUIRE(rig.memory.get(0x8000 + 2 * i, 2) == ((0xC301 + i) & 0xFFFF));
}

TEST_CASE("exactly the budget is complete, not unfinished") {
  Rig rig;
  rig.io.repeat = true;
  rig.registers.rcx = 5;
  CHECK(rig.run(5).kind == Kind::complete);
  CHECK(rig.registers.rcx == 0);
}

TEST_CASE("a page fault stops before the port is read, with registers at the element") {
  Rig rig;
  rig.page();
  rig.memory.put(0x4000 + 9 * 8, 8, 0x9001);  // page 9 is read-only, supervisor
  rig.io.is_in = true;
  rig.io.repeat = true;
  rig.io.size = 4;
  rig.registers = {4, 0, 0x8FF8, false};
  const auto progress = rig.run();
  CHECK(progress.kind == Kind::exception);
  CHECK(progress.elements == 2);
  CHECK(progress.exception.vector == 14);
  CHECK(progress.exception.cr2 == 0x9000);
  CHECK(progress.exception.error_code == 3);
  CHECK(rig.ports.reads == 2);
  CHECK(rig.registers.rcx == 2);
  CHECK(rig.registers.rdi == 0x9000);
}

TEST_CASE("an element across two pages faults at the second page and stores nothing") {
  Rig rig;
  rig.page();
  rig.memory.put(0x4000 + 9 * 8, 8, 0);
  rig.io.is_in = true;
  rig.io.size = 4;
  rig.registers.rdi = 0x8FFE;
  const auto progress = rig.run();
  CHECK(progress.exception.cr2 == 0x9000);
  CHECK(progress.exception.error_code == 2);
  CHECK(rig.ports.reads == 0);
  CHECK(rig.memory.get(0x8FFE, 2) == 0);
}

TEST_CASE("user accesses are user accesses") {
  Rig rig;
  rig.page();
  rig.memory.put(0x4000 + 8 * 8, 8, 0x8003);
  rig.context.privilege = walk::Privilege::user;
  rig.registers.rsi = 0x8000;
  CHECK(rig.run().exception.error_code == 5);
}

TEST_CASE("segment limits and kinds, outside of 64-bit code") {
  struct Case { const char* name; bool is_in; SegmentName segment; vcpu::SegmentState state; u64 offset; u8 vector; };
  using S = vcpu::SegmentState;
  const S flat{0, 0xFFFF, true, false, true, false, true};
  const auto with = [&](auto change) { S s = flat; change(s); return s; };
  const Case cases[] = {
      {"last byte inside", false, SegmentName::ds, flat, 0xFFFE, 0},
      {"one byte beyond", false, SegmentName::ds, flat, 0xFFFF, 13},
      {"beyond, SS", false, SegmentName::ss, flat, 0xFFFF, 12},
      {"null", false, SegmentName::fs, with([](S& s) { s.present = false; }), 0, 13},
      {"write to read-only", true, SegmentName::es, with([](S& s) { s.writable = false; }), 0, 13},
      {"read of read-only", false, SegmentName::ds, with([](S& s) { s.writable = false; }), 0, 0},
      {"read of readable code", false, SegmentName::cs, with([](S& s) { s.code = true; }), 0, 0},
      {"read of execute-only code", false, SegmentName::cs, with([](S& s) { s.code = true; s.writable = false; }), 0, 13},
      {"write to code", true, SegmentName::es, with([](S& s) { s.code = true; }), 0, 13},
      {"expand-down below", false, SegmentName::ds, with([](S& s) { s.expand_down = true; s.limit = 0xFFF; }), 0xFFF, 13},
      {"expand-down above", false, SegmentName::ds, with([](S& s) { s.expand_down = true; s.limit = 0xFFF; }), 0x1000, 0},
      {"expand-down 16-bit end", false, SegmentName::ds, with([](S& s) { s.expand_down = true; s.limit = 0xFFF; s.big = false; }), 0xFFFF, 13},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Rig rig;
    rig.io.is_in = c.is_in;
    rig.io.segment = c.segment;
    rig.io.size = 2;
    rig.context.segment = c.state;
    rig.registers = {0, c.offset, c.offset, false};
    const auto progress = rig.run();
    CHECK((progress.kind == Kind::exception) == (c.vector != 0));
    CHECK(progress.exception.vector == c.vector);
    CHECK(progress.exception.error_code == 0);
    CHECK(rig.ports.reads + rig.ports.written.size() == (c.vector == 0 ? 1u : 0u));
  }
}

TEST_CASE("bases: always outside of 64-bit code, only FS and GS in it") {
  Rig rig;
  rig.context.segment.base = 0x10000;
  rig.memory.bytes[0x10010] = 0x5A;
  rig.memory.bytes[0x10] = 0xA5;
  rig.registers.rsi = 0x10;
  CHECK(rig.run().kind == Kind::complete);
  rig.page();
  rig.registers.rsi = 0x10;
  CHECK(rig.run().kind == Kind::complete);
  rig.io.segment = SegmentName::fs;
  rig.registers.rsi = 0x10;
  CHECK(rig.run().kind == Kind::complete);
  CHECK(rig.ports.written == std::vector<u32>{0x5A, 0xA5, 0x5A});
}

TEST_CASE("non-canonical addresses are #GP, with SS #SS") {
  Rig rig;
  rig.page();
  rig.registers.rsi = u64{1} << 47;
  CHECK(rig.run().exception.vector == 13);
  rig.io.segment = SegmentName::ss;
  CHECK(rig.run().exception.vector == 12);
}

TEST_CASE("alignment is checked when asked for") {
  Rig rig;
  rig.io.size = 4;
  rig.registers.rsi = 0x8002;
  CHECK(rig.run().kind == Kind::complete);
  rig.registers.rsi = 0x8002;
  rig.context.alignment_checked = true;
  CHECK(rig.run().exception.vector == 17);
}

TEST_CASE("what is not memory is the domain's business") {
  Rig rig;
  rig.registers.rsi = 0xA0000;
  const auto progress = rig.run();
  CHECK(progress.kind == Kind::unreachable);
  CHECK(progress.gpa == Gpa{0xA0000});
  CHECK(progress.error == Error::not_found);
  CHECK(rig.registers.rsi == 0xA0000);
  CHECK(rig.ports.written.empty());
}

TEST_CASE("INS does not take from the port what it cannot put away") {
  Rig rig;
  rig.io.is_in = true;
  rig.registers.rdi = 0xA0000;
  const auto progress = rig.run();
  CHECK(progress.kind == Kind::unreachable);
  CHECK(progress.gpa == Gpa{0xA0000});
  CHECK(rig.ports.reads == 0);
}

TEST_CASE("tables that never stop changing leave the instruction unfinished") {
  Rig rig;
  rig.page();
  unsigned n = 0;
  rig.memory.before_exchange = [&](Gpa) { rig.memory.put(0x1000, 8, 0x2007 | u64{++n} << 52); };
  CHECK(rig.run().kind == Kind::unfinished);
}
