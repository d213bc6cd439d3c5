// SPDX-License-Identifier: Apache-2.0
#include "vcpu/instruction.hpp"

#include <algorithm>

namespace octavo::vcpu {
namespace {
using Kind = InstructionKind;

constexpr usize k_longest = 15;

struct Prefixes {
  bool operand_size = false;   // 66
  bool address_size = false;   // 67
  bool lock = false;           // F0
  u8 repeat = 0;               // the last of F2, F3
  std::optional<SegmentName> segment{};
  u8 rex = 0;                  // only in front of the opcode
  [[nodiscard]] bool w() const { return (rex & 8) != 0; }
  [[nodiscard]] u8 r() const { return (rex & 4) != 0 ? 8 : 0; }
  [[nodiscard]] u8 x() const { return (rex & 2) != 0 ? 8 : 0; }
  [[nodiscard]] u8 b() const { return (rex & 1) != 0 ? 8 : 0; }
};

struct ModRm {
  u8 mod, reg, rm;
  explicit constexpr ModRm(u8 byte)
      : mod(byte >> 6), reg(static_cast<u8>(byte >> 3 & 7)), rm(static_cast<u8>(byte & 7)) {}
};

/// Decodes one instruction. A step that finds the bytes at an end returns nothing, and so does the whole.
class Decoder {
 public:
  Decoder(std::span<const u8> bytes, CodeSize size) : bytes_(bytes.first(std::min(bytes.size(), k_longest))), size_(size) {}

  std::optional<Instruction> run() {
    const auto opcode = prefixes();
    if (!opcode) return std::nullopt;
    if (!(*opcode == 0x0F ? two_bytes() : one_byte(*opcode))) return std::nullopt;
    if (prefix_.lock && !lock_allowed()) return std::nullopt;
    result_.length = static_cast<u8>(at_);
    return result_;
  }

 private:
  std::optional<u8> next() {
    if (at_ == bytes_.size()) return std::nullopt;
    return bytes_[at_++];
  }
  bool little_endian(unsigned size, i32& value) {
    u32 bits = 0;
    for (unsigned i = 0; i < size; ++i) {
      const auto byte = next();
      if (!byte) return false;
      bits |= u32{*byte} << (8 * i);
    }
    value = size == 1 ? static_cast<i8>(bits) : size == 2 ? static_cast<i16>(bits) : static_cast<i32>(bits);
    return true;
  }

  /// Takes prefixes and returns the byte after them. A REX that is not the last of them has no effect (SDM 2A 2.2.1).
  std::optional<u8> prefixes() {
    for (;;) {
      const auto byte = next();
      if (!byte) return std::nullopt;
      if (size_ == CodeSize::bits64 && (*byte & 0xF0) == 0x40) {
        prefix_.rex = *byte;
        continue;
      }
      switch (*byte) {
        case 0x66: prefix_.operand_size = true; break;
        case 0x67: prefix_.address_size = true; break;
        case 0xF0: prefix_.lock = true; break;
        case 0xF2: case 0xF3: prefix_.repeat = *byte; break;
        case 0x26: segment(SegmentName::es); break;
        case 0x2E: segment(SegmentName::cs); break;
        case 0x36: segment(SegmentName::ss); break;
        case 0x3E: segment(SegmentName::ds); break;
        case 0x64: prefix_.segment = SegmentName::fs; break;
        case 0x65: prefix_.segment = SegmentName::gs; break;
        default: return byte;
      }
      prefix_.rex = 0;
    }
  }
  /// In 64-bit code ES, CS, SS and DS overrides are ignored; they don't cancel an FS or GS before them (SDM 2A 2.1.1).
  void segment(SegmentName name) {
    if (size_ != CodeSize::bits64) prefix_.segment = name;
  }

  [[nodiscard]] u8 operand_bytes() const {
    if (size_ == CodeSize::bits64 && prefix_.w()) return 8;
    return (size_ == CodeSize::bits16) != prefix_.operand_size ? 2 : 4;
  }
  [[nodiscard]] u8 address_bits() const {
    if (size_ == CodeSize::bits64) return prefix_.address_size ? 32 : 64;
    return (size_ == CodeSize::bits16) != prefix_.address_size ? 16 : 32;
  }
  /// LOCK in front of MOV CR0 is AMD's other name for CR8 (APM 3, "MOV CRn"); in front of all else here it is #UD.
  [[nodiscard]] bool lock_allowed() const { return lock_is_cr8_; }

  bool is(Kind kind) { result_.kind = kind; return true; }
  /// For opcodes that 66, F2 or F3 make another instruction or #UD ("NP" in SDM 2's opcode column).
  bool is_unprefixed(Kind kind) { return !prefix_.operand_size && prefix_.repeat == 0 && is(kind); }

  bool one_byte(u8 opcode) {
    switch (opcode) {
      case 0xF4: return is(Kind::hlt);
      case 0x90: return prefix_.repeat == 0xF3 && is(Kind::pause);
      case 0x6C: case 0x6D: case 0x6E: case 0x6F:
        string_io_width(opcode);
        result_.segment = prefix_.segment.value_or(SegmentName::ds);
        result_.repeat = prefix_.repeat != 0;
        return is(opcode < 0x6E ? Kind::ins : Kind::outs);
      case 0xE4: case 0xE5: case 0xE6: case 0xE7:
        result_.port = next();
        string_io_width(opcode);
        return result_.port && is(opcode < 0xE6 ? Kind::in : Kind::out);
      case 0xEC: case 0xED: case 0xEE: case 0xEF:
        string_io_width(opcode);
        return is(opcode < 0xEE ? Kind::in : Kind::out);
      default: return false;
    }
  }
  /// Ports are at most 4 bytes wide: REX.W only undoes the 66 prefix.
  void string_io_width(u8 opcode) {
    result_.operand_bytes = (opcode & 1) == 0 ? u8{1} : std::min<u8>(operand_bytes(), 4);
    result_.address_bits = address_bits();
  }

  bool two_bytes() {
    const auto opcode = next();
    if (!opcode) return false;
    switch (*opcode) {
      case 0x01: return group_7();
      case 0x06: return is(Kind::clts);
      case 0x08: return is(Kind::invd);
      case 0x09: return is(Kind::wbinvd);  // with F3: WBNOINVD, intercepted as WBINVD
      case 0x20: return move_system(Kind::mov_from_cr);
      case 0x21: return move_system(Kind::mov_from_dr);
      case 0x22: return move_system(Kind::mov_to_cr);
      case 0x23: return move_system(Kind::mov_to_dr);
      case 0x30: return is(Kind::wrmsr);
      case 0x31: return is(Kind::rdtsc);
      case 0x32: return is(Kind::rdmsr);
      case 0x33: return is(Kind::rdpmc);
      case 0xA2: return is(Kind::cpuid);
      default: return false;
    }
  }

  /// The mod field is ignored: the operand is always a register (SDM 2B, "MOV—Move to/from Control Registers").
  bool move_system(Kind kind) {
    const auto byte = next();
    if (!byte) return false;
    const ModRm modrm(*byte);
    result_.system_register = modrm.reg | prefix_.r();
    result_.general_register = static_cast<u8>(modrm.rm | prefix_.b());
    result_.operand_bytes = size_ == CodeSize::bits64 ? 8 : 4;
    if (kind == Kind::mov_from_cr || kind == Kind::mov_to_cr) {
      lock_is_cr8_ = prefix_.lock && result_.system_register == 0;
      if (lock_is_cr8_) result_.system_register = 8;
      constexpr u32 k_existing = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 8;
      if ((k_existing >> result_.system_register & 1) == 0) return false;
    } else if (result_.system_register > 7) {
      return false;
    }
    return is(kind);
  }

  bool group_7() {
    const auto byte = next();
    if (!byte) return false;
    const ModRm modrm(*byte);
    if (modrm.mod == 3) {
      switch (*byte) {
        case 0xC1: return is_unprefixed(Kind::vmcall);
        case 0xC8: case 0xFA: return is_unprefixed(Kind::monitor);  // FA: MONITORX, with F3: MCOMMIT
        case 0xC9: case 0xFB: return is_unprefixed(Kind::mwait);    // FB: MWAITX
        case 0xD0: return is_unprefixed(Kind::xgetbv);
        case 0xD1: return is_unprefixed(Kind::xsetbv);
        case 0xD9: return is(Kind::vmmcall);
        case 0xF9: return is(Kind::rdtscp);
        default: break;
      }
    }
    switch (modrm.reg) {
      case 4: result_.operand_bytes = modrm.mod == 3 ? operand_bytes() : u8{2}; return operand(modrm) && is(Kind::smsw);
      case 6: result_.operand_bytes = 2; return operand(modrm) && is(Kind::lmsw);
      case 7: return modrm.mod != 3 && operand(modrm) && is(Kind::invlpg);
      default: return false;
    }
  }

  bool operand(ModRm modrm) {
    if (modrm.mod == 3) {
      result_.general_register = static_cast<u8>(modrm.rm | prefix_.b());
      return true;
    }
    MemoryOperand memory;
    memory.address_bits = address_bits();
    const bool done = memory.address_bits == 16 ? operand_16(modrm, memory) : operand_32(modrm, memory);
    if (prefix_.segment) memory.segment = *prefix_.segment;
    result_.memory = memory;
    return done;
  }

  /// SDM 2A table 2-1.
  bool operand_16(ModRm modrm, MemoryOperand& memory) {
    constexpr u8 bx = 3, bp = 5, si = 6, di = 7;
    constexpr u8 bases[] = {bx, bx, bp, bp, si, di, bp, bx};
    constexpr u8 indices[] = {si, di, si, di};
    if (modrm.mod == 0 && modrm.rm == 6) return little_endian(2, memory.displacement);
    memory.base = bases[modrm.rm];
    if (modrm.rm < 4) memory.index = indices[modrm.rm];
    if (*memory.base == bp) memory.segment = SegmentName::ss;
    return modrm.mod == 0 || little_endian(modrm.mod, memory.displacement);
  }

  /// SDM 2A tables 2-2 and 2-3.
  bool operand_32(ModRm modrm, MemoryOperand& memory) {
    constexpr u8 sp = 4, bp = 5;
    u8 base = modrm.rm;
    if (modrm.rm == 4) {
      const auto sib = next();
      if (!sib) return false;
      const u8 index = static_cast<u8>(*sib >> 3 & 7) | prefix_.x();
      if (index != 4) {
        memory.index = index;
        memory.scale = static_cast<u8>(1u << (*sib >> 6));
      }
      base = *sib & 7;
    } else if (modrm.mod == 0 && modrm.rm == 5 && size_ == CodeSize::bits64) {
      memory.rip_relative = true;
      return little_endian(4, memory.displacement);
    }
    if (modrm.mod == 0 && base == 5) return little_endian(4, memory.displacement);
    memory.base = static_cast<u8>(base | prefix_.b());
    if (*memory.base == sp || *memory.base == bp) memory.segment = SegmentName::ss;
    return modrm.mod == 0 || little_endian(modrm.mod == 1 ? 1 : 4, memory.displacement);
  }

  std::span<const u8> bytes_;
  CodeSize size_;
  usize at_ = 0;
  Prefixes prefix_{};
  bool lock_is_cr8_ = false;
  Instruction result_{};
};
}  // namespace

u64 MemoryOperand::offset(std::span<const u64, 16> registers, u64 next_rip) const {
  u64 sum = static_cast<u64>(i64{displacement});
  if (rip_relative) sum += next_rip;
  if (base) sum += registers[*base & 15];
  if (index) sum += registers[*index & 15] * scale;
  return sum & low_bits(address_bits);
}

std::optional<Instruction> decode(std::span<const u8> bytes, CodeSize code_size, InstructionSet expected) {
  auto instruction = Decoder(bytes, code_size).run();
  if (instruction && !expected.contains(instruction->kind)) return std::nullopt;
  return instruction;
}
}  // namespace octavo::vcpu
