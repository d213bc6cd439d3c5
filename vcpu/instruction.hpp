// SPDX-License-Identifier: Apache-2.0
// What a processor without next-RIP save and decode assists does not say about an intercepted instruction: its length and its
// operands. Only the instructions that the hypervisor intercepts are known; everything else is a mismatch, since the bytes at
// RIP may no longer be what the processor executed. Pure; not a general decoder.
#pragma once
#include <optional>
#include <span>

#include "lib/int.hpp"

namespace octavo::vcpu {

/// CS.L and CS.D, as the width of the default operand and address size.
enum class CodeSize : u8 { bits16, bits32, bits64 };

enum class InstructionKind : u8 {
  cpuid, rdmsr, wrmsr, rdtsc, rdtscp, rdpmc, hlt, pause,
  vmcall, vmmcall, xgetbv, xsetbv, invd, wbinvd, monitor, mwait,
  clts, lmsw, smsw, invlpg, mov_to_cr, mov_from_cr, mov_to_dr, mov_from_dr,
  in, out, ins, outs,
};

/// The kinds that an exit may have been caused by.
class InstructionSet {
 public:
  template <class... Kinds>
  constexpr explicit InstructionSet(Kinds... kinds) : bits_((u32{0} | ... | (u32{1} << static_cast<unsigned>(kinds)))) {}
  [[nodiscard]] constexpr bool contains(InstructionKind kind) const { return (bits_ >> static_cast<unsigned>(kind) & 1) != 0; }

 private:
  u32 bits_;
};

/// An instruction without prefixes and operands: its bytes, the first one lowest.
struct Encoding {
  u32 bytes = 0;
  u8 length = 0;  ///< 0: this kind has operands
  [[nodiscard]] constexpr bool begins(std::optional<u32> code) const {
    return length != 0 && code && (*code & static_cast<u32>(low_bits(length * 8u))) == bytes;
  }
};
[[nodiscard]] constexpr Encoding plain_encoding(InstructionKind kind) {
  switch (kind) {
    case InstructionKind::cpuid: return {0xA20F, 2};
    case InstructionKind::rdmsr: return {0x320F, 2};
    case InstructionKind::wrmsr: return {0x300F, 2};
    case InstructionKind::hlt: return {0xF4, 1};
    case InstructionKind::vmmcall: return {0xD9010F, 3};
    case InstructionKind::vmcall: return {0xC1010F, 3};
    case InstructionKind::xsetbv: return {0xD1010F, 3};
    case InstructionKind::invd: return {0x080F, 2};
    case InstructionKind::wbinvd: return {0x090F, 2};
    default: return {};
  }
}

/// In the order of their numbers in segment registers' encodings.
enum class SegmentName : u8 { es, cs, ss, ds, fs, gs };

/// A ModRM memory operand. Registers are numbers 0..15 in the order of encodings (0 = RAX, 4 = RSP).
struct MemoryOperand {
  SegmentName segment = SegmentName::ds;  ///< override applied
  std::optional<u8> base{};
  std::optional<u8> index{};
  u8 scale = 1;
  bool rip_relative = false;  ///< to the address of the next instruction
  i32 displacement = 0;
  u8 address_bits = 64;       ///< 16, 32, 64: the offset is truncated to it

  /// The offset in its segment; registers in the order of encodings.
  [[nodiscard]] u64 offset(std::span<const u64, 16> registers, u64 next_rip) const;
};

struct Instruction {
  InstructionKind kind = InstructionKind::cpuid;
  u8 length = 0;                           ///< bytes, 1..15
  u8 operand_bytes = 0;                    ///< mov cr/dr: 4 or 8; smsw to a register: 2, 4, 8 (to memory 2); lmsw: 2; i/o: 1, 2, 4
  u8 address_bits = 64;                    ///< ins, outs: of the offset and of the count
  u8 system_register = 0;                  ///< mov cr/dr: its number
  std::optional<u8> general_register{};    ///< mov cr/dr, lmsw, smsw: if the operand is a register
  std::optional<MemoryOperand> memory{};   ///< lmsw, smsw, invlpg
  std::optional<u8> port{};                ///< in, out: the immediate; else DX
  SegmentName segment = SegmentName::ds;   ///< outs: where the source is
  bool repeat = false;                     ///< ins, outs: REP or REPNE
};

/// The instruction at the start of `bytes` (at most 15 count), if it is complete and its kind is one of `expected`.
[[nodiscard]] std::optional<Instruction> decode(std::span<const u8> bytes, CodeSize code_size, InstructionSet expected);
}  // namespace octavo::vcpu
