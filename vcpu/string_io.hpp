// SPDX-License-Identifier: Apache-2.0
// INS and OUTS, with and without REP, as pure logic: segments and guest memory in, port accesses out. A call does a bounded
// number of elements; registers always say exactly what has been done, so that a fault, an interrupt or the next call goes on
// where this one stopped. The port permission (IOPL, TSS bitmap) has been checked by the processor before the exit.
#pragma once
#include "vcpu/instruction.hpp"
#include "walk/copy.hpp"

namespace octavo::vcpu {

/// Where ports are; `size` is 1, 2 or 4 bytes.
class PortAccess {
 public:
  [[nodiscard]] virtual u32 read(u16 port, unsigned size) = 0;
  virtual void write(u16 port, unsigned size, u32 value) = 0;

 protected:
  ~PortAccess() = default;
};

/// A segment register's hidden part, attributes as in the VMCB (APM 2 15.5.1) or a descriptor's bits 40..47 and 52..55.
struct SegmentState {
  u64 base = 0;
  u32 limit = 0;          ///< in bytes, granularity applied
  bool present = true;    ///< false for a null selector
  bool code = false;
  bool writable = true;   ///< data: writable; code: readable
  bool expand_down = false;
  bool big = true;        ///< D/B: the upper bound of expand-down segments
};

struct StringIo {
  bool is_in = false;
  u8 size = 1;                            ///< bytes of an element: 1, 2, 4
  u8 address_bits = 64;                   ///< 16, 32, 64: width of RSI/RDI and RCX
  bool repeat = false;
  u16 port = 0;                           ///< DX
  SegmentName segment = SegmentName::ds;  ///< OUTS: the source; INS always uses ES
};

/// What the instruction changes, and RFLAGS.DF.
struct StringRegisters {
  u64 rcx = 0;
  u64 rsi = 0;
  u64 rdi = 0;
  bool backwards = false;
};

/// How the vCPU accesses memory now.
struct StringContext {
  walk::Mode mode{};
  walk::Privilege privilege = walk::Privilege::supervisor;
  bool alignment_flag = false;   ///< RFLAGS.AC
  bool alignment_checked = false;  ///< CR0.AM and RFLAGS.AC and CPL 3: misaligned elements are #AC
  bool long_mode_code = false;   ///< 64-bit code: no limits, bases of FS and GS only
  SegmentState segment{};        ///< the one that is used: ES for INS, StringIo::segment for OUTS
};

struct GuestException {
  u8 vector = 0;
  u32 error_code = 0;
  u64 cr2 = 0;  ///< for #PF
};
inline constexpr u8 k_vector_ss = 12;
inline constexpr u8 k_vector_gp = 13;
inline constexpr u8 k_vector_pf = 14;
inline constexpr u8 k_vector_ac = 17;

struct StringProgress {
  enum class Kind : u8 {
    complete,     ///< go on behind the instruction
    unfinished,   ///< budget used up, or the tables kept changing: leave RIP, the guest executes it again
    exception,    ///< inject `exception`, leave RIP
    unreachable,  ///< memory at `gpa` cannot be had for `error` (the domain knows what to do); leave RIP
  };
  Kind kind = Kind::complete;
  unsigned elements = 0;  ///< done in this call
  GuestException exception{};
  Gpa gpa{};
  Error error = Error::not_found;
};

inline constexpr unsigned k_string_budget = 64;

/// Executes at most `budget` elements and updates `registers`.
[[nodiscard]] StringProgress execute_string_io(const StringIo& io, const StringContext& context, StringRegisters& registers,
                                               walk::GuestBytes& memory, PortAccess& ports, unsigned budget = k_string_budget);
}  // namespace octavo::vcpu
