// SPDX-License-Identifier: Apache-2.0
// INS and OUTS: what the exit does not say is decoded, vcpu/string_io does the work, a few elements at a time.
#include "vcpu/string_io.hpp"
#include "vcpu/vcpu.hpp"

namespace octavo::vcpu {

using arch::Gpr;

namespace {
class EnvironmentPorts final : public PortAccess {
 public:
  explicit EnvironmentPorts(Environment& environment) : environment_(environment) {}
  u32 read(u16 port, unsigned size) override { return environment_.port_read(port, size); }
  void write(u16 port, unsigned size, u32 value) override { environment_.port_write(port, size, value); }

 private:
  Environment& environment_;
};

/// A segment's hidden part in the terms of string_io; attributes are those of arch::Segment.
SegmentState segment_state(const arch::Segment& segment) {
  constexpr u16 writable_or_readable = 1u << 1, expand_down = 1u << 2, code = 1u << 3, present = 1u << 7;
  const u16 a = segment.attributes;
  const bool is_code = (a & code) != 0;
  return {.base = segment.base,
          .limit = segment.limit,
          .present = (a & present) != 0,
          .code = is_code,
          .writable = (a & writable_or_readable) != 0,
          .expand_down = !is_code && (a & expand_down) != 0,
          .big = segment.is_32bit()};
}
}  // namespace

void Vcpu::on_string_io(const arch::Exit& exit) {
  const auto instruction = fetch(InstructionSet{InstructionKind::ins, InstructionKind::outs});
  if (!instruction) return try_again();
  arch::GuestRegisters& r = context_.regs;
  const arch::ControlState control = context_.control();
  const bool user = context_.cpl() == 3;
  const bool alignment_flag = (r.rflags & arch::rflags::ac) != 0;
  const SegmentName used = exit.io.is_in ? SegmentName::es : instruction->segment;
  const StringIo io{.is_in = exit.io.is_in,
                    .size = exit.io.size,
                    .address_bits = instruction->address_bits,
                    .repeat = instruction->repeat,
                    .port = exit.io.port,
                    .segment = instruction->segment};
  const StringContext how{.mode = paging_mode(),
                          .privilege = user ? walk::Privilege::user : walk::Privilege::supervisor,
                          .alignment_flag = alignment_flag,
                          .alignment_checked = alignment_flag && user && (control.cr0 & arch::cr0::am) != 0,
                          .long_mode_code = code_size() == 64,
                          .segment = segment_state(context_.segment(static_cast<arch::SegmentName>(used)))};
  StringRegisters registers{r[Gpr::rcx], r[Gpr::rsi], r[Gpr::rdi], (r.rflags & arch::rflags::df) != 0};
  EnvironmentPorts ports{environment_};
  const bool stepping = (r.rflags & arch::rflags::tf) != 0;  // a trap after each element
  const StringProgress progress =
      execute_string_io(io, how, registers, environment_.guest_memory(), ports, stepping ? 1 : k_string_budget);
  r[Gpr::rcx] = registers.rcx;
  r[Gpr::rsi] = registers.rsi;
  r[Gpr::rdi] = registers.rdi;
  switch (progress.kind) {
    case StringProgress::Kind::complete:
      return complete_instruction(exit.next_rip);
    case StringProgress::Kind::unfinished:
      if (stepping && progress.elements != 0) inject_debug(arch::dr6::single_step);
      return;
    case StringProgress::Kind::exception:
      if (progress.exception.vector == arch::vector::pf) context_.set_cr2(progress.exception.cr2);
      return inject_fault(arch::Event::exception(progress.exception.vector, progress.exception.error_code));
    case StringProgress::Kind::unreachable: return unreachable(progress.gpa, exit.io.is_in);
  }
}
}  // namespace octavo::vcpu
