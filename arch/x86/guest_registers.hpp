// SPDX-License-Identifier: Apache-2.0
// A guest's architectural state as types: general registers, segments, control-register bits. Used by both vendors'
// backends, the walker, the emulator and the policy above them.
#pragma once
#include "lib/address.hpp"
#include "lib/int.hpp"

namespace octavo::arch {

/// The encoding of general registers in instructions (SDM Vol. 2, table 3-1).
enum class Gpr : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

/// What every exit needs at hand. The backend keeps it true while the guest is not running.
struct GuestRegisters {
  u64 gpr[16] = {};
  u64 rip = 0;
  u64 rflags = 0x2;

  [[nodiscard]] u64& operator[](Gpr r) { return gpr[static_cast<unsigned>(r)]; }
  [[nodiscard]] u64 operator[](Gpr r) const { return gpr[static_cast<unsigned>(r)]; }
};

enum class SegmentName : u8 { es, cs, ss, ds, fs, gs, ldtr, tr };

/// A segment register with its hidden part. `attributes` are bits 8..15 and 20..23 of a descriptor, put together as in the
/// VMCB: type 0..3, S 4, DPL 5..6, P 7, AVL 8, L 9, D/B 10, G 11 (APM Vol. 2, 15.5.1; VMX has the same bits, spread out).
struct Segment {
  u16 selector = 0;
  u16 attributes = 0;
  u32 limit = 0;
  u64 base = 0;

  [[nodiscard]] constexpr bool is_long() const { return (attributes & (1u << 9)) != 0; }
  [[nodiscard]] constexpr bool is_32bit() const { return (attributes & (1u << 10)) != 0; }
};

struct TableRegister {
  u64 base = 0;
  u32 limit = 0;
};

namespace segment_attributes {
inline constexpr u16 code32 = 0xC9B;   ///< present, DPL 0, execute/read, accessed, 32-bit, 4K granular
inline constexpr u16 code64 = 0xA9B;   ///< the same, long
inline constexpr u16 data32 = 0xC93;   ///< present, DPL 0, read/write, accessed, 32-bit, 4K granular
inline constexpr u16 ldt = 0x082;
inline constexpr u16 tss_busy = 0x08B;
}  // namespace segment_attributes

namespace cr0 {
inline constexpr u64 pe = 1u << 0, mp = 1u << 1, em = 1u << 2, ts = 1u << 3, et = 1u << 4, ne = 1u << 5, wp = 1u << 16,
                     am = 1u << 18, nw = 1u << 29, cd = 1u << 30, pg = 1u << 31;
}
namespace cr4 {
inline constexpr u64 vme = 1u << 0, pvi = 1u << 1, tsd = 1u << 2, de = 1u << 3, pse = 1u << 4, pae = 1u << 5, mce = 1u << 6,
                     pge = 1u << 7, pce = 1u << 8, osfxsr = 1u << 9, osxmmexcpt = 1u << 10, umip = 1u << 11, la57 = 1u << 12,
                     vmxe = 1u << 13, smxe = 1u << 14, fsgsbase = 1u << 16, pcide = 1u << 17, osxsave = 1u << 18,
                     smep = 1u << 20, smap = 1u << 21, pke = 1u << 22;
}
namespace efer {
inline constexpr u64 sce = 1u << 0, lme = 1u << 8, lma = 1u << 10, nxe = 1u << 11, svme = 1u << 12, lmsle = 1u << 13,
                     ffxsr = 1u << 14, tce = 1u << 15;
}
namespace dr6 {
inline constexpr u64 single_step = 1u << 14;
}
namespace dr7 {
inline constexpr u64 gd = 1u << 13;
}
namespace rflags {
inline constexpr u64 cf = 1u << 0, fixed = 1u << 1, tf = 1u << 8, if_ = 1u << 9, df = 1u << 10, rf = 1u << 16, vm = 1u << 17,
                     ac = 1u << 18;
}

/// Exception vectors (SDM Vol. 3, 6.3.1).
namespace vector {
inline constexpr u8 de = 0, db = 1, nmi = 2, bp = 3, of = 4, br = 5, ud = 6, nm = 7, df = 8, ts = 10, np = 11, ss = 12, gp = 13,
                    pf = 14, mf = 16, ac = 17, mc = 18, xm = 19;
}
}  // namespace octavo::arch
