// SPDX-License-Identifier: Apache-2.0
// The decoder of intercepted instructions against Zydis: every pair of prefixes, every ModRM and SIB byte, random bytes.
#include "vcpu/instruction.hpp"

#include <Zydis/Zydis.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

using namespace octavo;
using vcpu::CodeSize;
using vcpu::Instruction;
using vcpu::InstructionSet;
using Kind = vcpu::InstructionKind;

namespace {
const InstructionSet k_everything{
    Kind::cpuid, Kind::rdmsr, Kind::wrmsr, Kind::rdtsc, Kind::rdtscp, Kind::rdpmc, Kind::hlt, Kind::pause, Kind::vmcall, Kind::vmmcall,
    Kind::xgetbv, Kind::xsetbv, Kind::invd, Kind::wbinvd, Kind::monitor, Kind::mwait, Kind::clts, Kind::lmsw, Kind::smsw, Kind::invlpg,
    Kind::mov_to_cr, Kind::mov_from_cr, Kind::mov_to_dr, Kind::mov_from_dr, Kind::in, Kind::out, Kind::ins, Kind::outs};

class Oracle {
 public:
  explicit Oracle(CodeSize size) {
    const bool is64 = size == CodeSize::bits64;
    const auto mode = is64                         ? ZYDIS_MACHINE_MODE_LONG_64
                      : size == CodeSize::bits32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                 : ZYDIS_MACHINE_MODE_LEGACY_16;
    const auto width = is64 ? ZYDIS_STACK_WIDTH_64 : size == CodeSize::bits32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
    REQUIRE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder_, mode, width)));
  }

  struct Answer {
    bool valid = false;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  };
  [[nodiscard]] Answer ask(std::span<const u8> bytes) const {
    Answer answer;
    answer.valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &answer.instruction, answer.operands));
    return answer;
  }

 private:
  ZydisDecoder decoder_{};
};

/// What our kinds are called by Zydis.
std::optional<Kind> kind_of(const Oracle::Answer& a) {
  const auto is = [&](unsigned n, ZydisRegisterClass c) {
    return a.operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(a.operands[n].reg.value) == c;
  };
  switch (a.instruction.mnemonic) {
    case ZYDIS_MNEMONIC_CPUID: return Kind::cpuid;
    case ZYDIS_MNEMONIC_RDMSR: return Kind::rdmsr;
    case ZYDIS_MNEMONIC_WRMSR: return Kind::wrmsr;
    case ZYDIS_MNEMONIC_RDTSC: return Kind::rdtsc;
    case ZYDIS_MNEMONIC_RDTSCP: return Kind::rdtscp;
    case ZYDIS_MNEMONIC_RDPMC: return Kind::rdpmc;
    case ZYDIS_MNEMONIC_HLT: return Kind::hlt;
    case ZYDIS_MNEMONIC_PAUSE: return Kind::pause;
    case ZYDIS_MNEMONIC_VMCALL: return Kind::vmcall;
    case ZYDIS_MNEMONIC_VMMCALL: return Kind::vmmcall;
    case ZYDIS_MNEMONIC_XGETBV: return Kind::xgetbv;
    case ZYDIS_MNEMONIC_XSETBV: return Kind::xsetbv;
    case ZYDIS_MNEMONIC_INVD: return Kind::invd;
    case ZYDIS_MNEMONIC_WBINVD: return Kind::wbinvd;
    case ZYDIS_MNEMONIC_MONITOR: case ZYDIS_MNEMONIC_MONITORX: return Kind::monitor;
    case ZYDIS_MNEMONIC_MWAIT: case ZYDIS_MNEMONIC_MWAITX: return Kind::mwait;
    case ZYDIS_MNEMONIC_CLTS: return Kind::clts;
    case ZYDIS_MNEMONIC_LMSW: return Kind::lmsw;
    case ZYDIS_MNEMONIC_SMSW: return Kind::smsw;
    case ZYDIS_MNEMONIC_INVLPG: return Kind::invlpg;
    case ZYDIS_MNEMONIC_IN: return Kind::in;
    case ZYDIS_MNEMONIC_OUT: return Kind::out;
    case ZYDIS_MNEMONIC_INSB: case ZYDIS_MNEMONIC_INSW: case ZYDIS_MNEMONIC_INSD: return Kind::ins;
    case ZYDIS_MNEMONIC_OUTSB: case ZYDIS_MNEMONIC_OUTSW: case ZYDIS_MNEMONIC_OUTSD: return Kind::outs;
    case ZYDIS_MNEMONIC_MOV:
      if (is(0, ZYDIS_REGCLASS_CONTROL)) return Kind::mov_to_cr;
      if (is(1, ZYDIS_REGCLASS_CONTROL)) return Kind::mov_from_cr;
      if (is(0, ZYDIS_REGCLASS_DEBUG)) return Kind::mov_to_dr;
      if (is(1, ZYDIS_REGCLASS_DEBUG)) return Kind::mov_from_dr;
      return std::nullopt;
    default: return std::nullopt;
  }
}

u8 number(ZydisRegister reg) { return static_cast<u8>(ZydisRegisterGetId(reg)); }

/// Every operand field of `ours` is what Zydis says. Empty, or what differs.
std::string compare(const Instruction& ours, Kind kind, const Oracle::Answer& a) {
  if (ours.kind != kind) return "kind";
  if (ours.length != a.instruction.length) return "length " + std::to_string(ours.length) + " not " + std::to_string(a.instruction.length);
  const auto& first = a.operands[0];
  const auto& second = a.operands[1];
  switch (kind) {
    case Kind::mov_to_cr: case Kind::mov_to_dr: case Kind::mov_from_cr: case Kind::mov_from_dr: {
      const bool to = kind == Kind::mov_to_cr || kind == Kind::mov_to_dr;
      if (ours.system_register != number((to ? first : second).reg.value)) return "system register";
      if (ours.general_register != number((to ? second : first).reg.value)) return "general register";
      if (ours.operand_bytes * 8 != (to ? second : first).size) return "operand size";
      return "";
    }
    case Kind::lmsw: case Kind::smsw: case Kind::invlpg:
      if (kind != Kind::invlpg && ours.operand_bytes * 8 != first.size) return "operand size";
      if (first.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        return ours.general_register == number(first.reg.value) && !ours.memory ? "" : "register operand";
      }
      {
        if (!ours.memory || ours.general_register) return "memory operand";
        const auto& m = *ours.memory;
        const bool rip = first.mem.base == ZYDIS_REGISTER_RIP || first.mem.base == ZYDIS_REGISTER_EIP;
        if (m.rip_relative != rip) return "rip-relative";
        // Zydis 3.2.1 takes a SIB byte without a base (mod 0, base 5) for one with R13D when REX.B comes with a 32-bit address size. It has none (SDM 2A,
        // table 2-3, and 2.2.1.2: that encoding is decoded before REX.B counts).
        if (first.mem.base == ZYDIS_REGISTER_R13D && a.instruction.raw.modrm.mod == 0) return m.base ? "has base" : "";
        if (m.base.has_value() != (first.mem.base != ZYDIS_REGISTER_NONE && !rip)) return "has base";
        if (m.base && *m.base != number(first.mem.base)) return "base";
        if (m.index.has_value() != (first.mem.index != ZYDIS_REGISTER_NONE)) return "has index";
        if (m.index && (*m.index != number(first.mem.index) || m.scale != first.mem.scale)) return "index";
        if (m.displacement != static_cast<i32>(first.mem.disp.value)) return "displacement";
        if (m.address_bits != a.instruction.address_width) return "address size";
        if (number(first.mem.segment) != static_cast<u8>(m.segment)) return "segment";
        return "";
      }
    case Kind::in: case Kind::out: {
      const auto& value = kind == Kind::in ? first : second;
      const auto& port = kind == Kind::in ? second : first;
      if (ours.operand_bytes * 8 != value.size) return "operand size";
      const bool immediate = port.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
      if (ours.port.has_value() != immediate) return "port is immediate";
      return !immediate || *ours.port == port.imm.value.u ? "" : "port";
    }
    case Kind::ins: case Kind::outs: {
      const auto& memory = kind == Kind::ins ? first : second;
      if (ours.operand_bytes * 8 != memory.size) return "operand size";
      if (ours.address_bits != a.instruction.address_width) return "address size";
      if (ours.repeat != ((a.instruction.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0)) return "rep";
      if (kind == Kind::outs && number(memory.mem.segment) != static_cast<u8>(ours.segment)) return "segment";
      return "";
    }
    default: return "";
  }
}

struct Tally { u64 agreed = 0, refused = 0; };

/// What Zydis does not know: AMD's LOCK MOV CR0, which is MOV CR8.
bool is_locked_cr8(const Instruction& ours, std::span<const u8> bytes) {
  const auto body = bytes.first(ours.length);
  return (ours.kind == Kind::mov_to_cr || ours.kind == Kind::mov_from_cr) && ours.system_register == 8 &&
         (body.back() >> 3 & 7) == 0 && std::find(body.begin(), body.end(), u8{0xF0}) != body.end();
}

void check(std::span<const u8> bytes, CodeSize size, const Oracle& oracle, Tally& tally) {
  const auto answer = oracle.ask(bytes);
  const auto ours = vcpu::decode(bytes, size, k_everything);
  const auto kind = answer.valid ? kind_of(answer) : std::nullopt;
  std::string trouble;
  if (kind && !ours) trouble = "refused";
  else if (kind) trouble = compare(*ours, *kind, answer);
  else if (ours && !is_locked_cr8(*ours, bytes)) trouble = answer.valid ? "is another instruction" : "is invalid";
  if (trouble.empty()) { ++(kind ? tally.agreed : tally.refused); return; }
  std::string hex;
  for (const u8 byte : bytes) { static const char d[] = "0123456789abcdef"; hex += d[byte >> 4]; hex += d[byte & 15]; hex += ' '; }
  FAIL_CHECK(hex << "code size " << static_cast<int>(size) << ": " << trouble);
}

const std::vector<u8> k_prefixes{0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65,
                                 0x40, 0x41, 0x42, 0x44, 0x48, 0x4C, 0x4F};
constexpr CodeSize k_sizes[] = {CodeSize::bits16, CodeSize::bits32, CodeSize::bits64};
const std::vector<std::vector<u8>> k_opcodes{
    {0xF4}, {0x90}, {0x6C}, {0x6D}, {0x6E}, {0x6F}, {0xE4}, {0xE5}, {0xE6}, {0xE7}, {0xEC}, {0xED}, {0xEE}, {0xEF},
    {0x0F, 0x06}, {0x0F, 0x08}, {0x0F, 0x09}, {0x0F, 0x30}, {0x0F, 0x31}, {0x0F, 0x32}, {0x0F, 0x33}, {0x0F, 0xA2},
    {0x0F, 0x05}, {0x0F, 0x0B}, {0xC3}, {0xCC}};
constexpr u8 k_with_modrm[] = {0x01, 0x20, 0x21, 0x22, 0x23};
}  // namespace

TEST_CASE("every pair of prefixes in front of every intercepted instruction, as Zydis decodes it") {
  std::mt19937 random(1);
  Tally tally;
  for (const CodeSize size : k_sizes) {
    const Oracle oracle(size);
    std::vector<std::vector<u8>> prefixes{{}};
    for (const u8 p : k_prefixes) prefixes.push_back({p});
    for (const u8 p : k_prefixes) for (const u8 q : k_prefixes) prefixes.push_back({p, q});
    for (const auto& prefix : prefixes) {
      const auto with = [&](std::vector<u8> opcode) {
        std::vector<u8> bytes = prefix;
        bytes.insert(bytes.end(), opcode.begin(), opcode.end());
        while (bytes.size() < 15) bytes.push_back(static_cast<u8>(random()));
        check(bytes, size, oracle, tally);
      };
      for (const auto& opcode : k_opcodes) with(opcode);
      for (const u8 opcode : k_with_modrm) {
        for (unsigned modrm = 0; modrm < 256; ++modrm) with({0x0F, opcode, static_cast<u8>(modrm)});
      }
    }
  }
  CHECK(tally.agreed > 100'000);
}

TEST_CASE("every SIB byte, and every end of the bytes, as Zydis decodes it") {
  Tally tally;
  for (const CodeSize size : k_sizes) {
    const Oracle oracle(size);
    for (const unsigned rex : {0x40u, 0x41u, 0x42u, 0x43u}) {
      for (const unsigned mod : {0u, 1u, 2u}) {
        for (unsigned sib = 0; sib < 256; ++sib) {
          std::vector<u8> bytes;
          if (size == CodeSize::bits64) bytes.push_back(static_cast<u8>(rex));
          bytes.insert(bytes.end(), {0x0F, 0x01, static_cast<u8>(mod << 6 | 7u << 3 | 4u), static_cast<u8>(sib), 0x81, 0x92, 0xA3, 0xB4});
          for (usize length = 1; length <= bytes.size(); ++length) check(std::span(bytes).first(length), size, oracle, tally);
        }
      }
    }
  }
  CHECK(tally.agreed > 9000);
}

TEST_CASE("random prefixes and random bytes, as Zydis decodes them") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Tally tally;
  for (const CodeSize size : k_sizes) {
    const Oracle oracle(size);
    for (unsigned i = 0; i < 200'000; ++i) {
      std::vector<u8> bytes(random() % 6);
      for (u8& byte : bytes) byte = k_prefixes[random() % k_prefixes.size()];
      const auto& opcode = k_opcodes[random() % k_opcodes.size()];
      switch (random() % 4) {
        case 0: break;
        case 1: bytes.insert(bytes.end(), opcode.begin(), opcode.end()); break;
        default: bytes.insert(bytes.end(), {0x0F, k_with_modrm[random() % 5]});
      }
      while (bytes.size() < 15) bytes.push_back(static_cast<u8>(random()));
      bytes.resize(1 + random() % 15);
      check(bytes, size, oracle, tally);
    }
  }
  CHECK(tally.agreed > 1000);
}

TEST_CASE("LOCK MOV CR0 is MOV CR8") {
  const u8 bytes[] = {0xF0, 0x0F, 0x22, 0xC1};
  const auto i = vcpu::decode(bytes, CodeSize::bits32, InstructionSet{Kind::mov_to_cr});
  REQUIRE(i);
  CHECK(i->system_register == 8);
  CHECK(i->general_register == u8{1});
}

TEST_CASE("only the expected kinds are decoded") {
  const u8 cpuid[] = {0x0F, 0xA2};
  CHECK(vcpu::decode(cpuid, CodeSize::bits64, InstructionSet{Kind::cpuid})->length == 2);
  CHECK(!vcpu::decode(cpuid, CodeSize::bits64, InstructionSet{Kind::rdmsr, Kind::wrmsr}));
}

TEST_CASE("an instruction longer than 15 bytes is none") {
  std::vector<u8> bytes(14, 0x66);
  bytes.insert(bytes.end(), {0x0F, 0xA2});
  CHECK(!vcpu::decode(bytes, CodeSize::bits64, k_everything));
  bytes.erase(bytes.begin());
  CHECK(vcpu::decode(bytes, CodeSize::bits64, k_everything)->length == 15);
}

TEST_CASE("the offset of a memory operand") {
  std::array<u64, 16> registers{};
  for (u64 i = 0; i < 16; ++i) registers[i] = 0x1'0000'1000 * (i + 1);
  const auto offset = [&](std::vector<u8> bytes, CodeSize size) {
    const auto i = vcpu::decode(bytes, size, k_everything);
    REQUIRE(i);
    REQUIRE(i->memory);
    return i->memory->offset(registers, 0x7000 + i->length);
  };
  CHECK(offset({0x0F, 0x01, 0x7C, 0x48, 0xF0}, CodeSize::bits64) == registers[0] + registers[1] * 2 - 0x10);  // [rax + rcx*2 - 16]
  CHECK(offset({0x67, 0x0F, 0x01, 0x38}, CodeSize::bits64) == 0x1000);                                        // [eax]
  CHECK(offset({0x0F, 0x01, 0x3D, 0xF0, 0xFF, 0xFF, 0xFF}, CodeSize::bits64) == 0x7000 + 7 - 16);             // [rip - 16]
  CHECK(offset({0x0F, 0x01, 0x78, 0x10}, CodeSize::bits16) == ((registers[3] + registers[6] + 0x10) & 0xFFFF));  // [bx + si + 16]
}
