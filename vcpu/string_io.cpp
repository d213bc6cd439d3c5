// SPDX-License-Identifier: Apache-2.0
#include "vcpu/string_io.hpp"

#include <array>

namespace octavo::vcpu {
namespace {
using Kind = StringProgress::Kind;

/// A write to a register of `bits`: 32-bit results are zero-extended, 16-bit ones leave the rest (SDM 1 3.4.1.1).
void assign(u64& destination, u64 value, unsigned bits) {
  destination = bits == 16 ? (destination & ~low_bits(16)) | (value & low_bits(16)) : value & low_bits(bits);
}

/// Is [offset, offset + size) inside the segment (SDM 3A 5.3)?
bool within_limit(const SegmentState& segment, u64 offset, unsigned size) {
  const u64 last = offset + size - 1;
  if (!segment.expand_down || segment.code) return last <= segment.limit;
  return offset > segment.limit && last <= low_bits(segment.big ? 32 : 16);
}

GuestException segment_fault(const StringIo& io) {
  const bool stack = !io.is_in && io.segment == SegmentName::ss;
  return {stack ? k_vector_ss : k_vector_gp, 0, 0};
}

/// One element's way from offset to linear address to memory to port.
class Element {
 public:
  Element(const StringIo& io, const StringContext& context, walk::GuestBytes& memory, PortAccess& ports)
      : io_(io), context_(context), memory_(memory), ports_(ports) {}

  /// complete if it was done, else why not. The port is not touched before the memory has been reached.
  StringProgress run(u64 offset) {
    const SegmentState& segment = context_.segment;
    u64 linear = offset;
    if (context_.long_mode_code) {
      const bool has_base = !io_.is_in && (io_.segment == SegmentName::fs || io_.segment == SegmentName::gs);
      if (has_base) linear += segment.base;
    } else {
      const bool usable = segment.present && (io_.is_in ? segment.writable && !segment.code : segment.writable || !segment.code);
      if (!usable || !within_limit(segment, offset, io_.size)) return raise(segment_fault(io_));
      linear = (linear + segment.base) & low_bits(32);
    }
    if (context_.alignment_checked && linear % io_.size != 0) return raise({k_vector_ac, 0, 0});

    const walk::Access access{io_.is_in ? walk::AccessKind::write : walk::AccessKind::read, context_.privilege, false,
                              context_.alignment_flag};
    const auto extent = walk::resolve(memory_, context_.mode, access, Gva{linear}, io_.size);
    if (!extent) return failed(extent.error());
    return io_.is_in ? in(*extent) : out(*extent);
  }

 private:
  StringProgress in(const walk::Extent& extent) {
    // What a port gives is gone from there, so first of all it has to be sure that it can be put away.
    std::array<u8, 4> before{};
    const auto reachable = walk::read_extent(memory_, extent, std::span(before).first(io_.size));
    if (!reachable) return failed(reachable.error());
    const u32 value = ports_.read(io_.port, io_.size);
    const std::array<u8, 4> bytes{static_cast<u8>(value), static_cast<u8>(value >> 8), static_cast<u8>(value >> 16),
                                  static_cast<u8>(value >> 24)};
    const auto written = walk::write_extent(memory_, extent, std::span(bytes).first(io_.size));
    return written ? StringProgress{} : failed(written.error());
  }
  StringProgress out(const walk::Extent& extent) {
    std::array<u8, 4> bytes{};
    const auto read = walk::read_extent(memory_, extent, std::span(bytes).first(io_.size));
    if (!read) return failed(read.error());
    ports_.write(io_.port, io_.size, u32{bytes[0]} | u32{bytes[1]} << 8 | u32{bytes[2]} << 16 | u32{bytes[3]} << 24);
    return {};
  }

  static StringProgress raise(GuestException exception) {
    StringProgress progress;
    progress.kind = Kind::exception;
    progress.exception = exception;
    return progress;
  }
  static StringProgress unreachable(Gpa gpa, Error error) {
    StringProgress progress;
    progress.kind = Kind::unreachable;
    progress.gpa = gpa;
    progress.error = error;
    return progress;
  }
  StringProgress failed(const walk::CopyFailure& failure) const {
    if (failure.kind != walk::CopyFailure::Kind::translation) return unreachable(failure.gpa, failure.error);
    switch (failure.walk.kind) {
      case walk::Failure::Kind::page_fault: return raise({k_vector_pf, failure.walk.error_code, failure.walk.address.value()});
      case walk::Failure::Kind::non_canonical: return raise(segment_fault(io_));
      case walk::Failure::Kind::table_unreachable: return unreachable(failure.walk.table, failure.walk.error);
      case walk::Failure::Kind::contended: break;
    }
    StringProgress again;
    again.kind = Kind::unfinished;
    return again;
  }

  const StringIo& io_;
  const StringContext& context_;
  walk::GuestBytes& memory_;
  PortAccess& ports_;
};
}  // namespace

StringProgress execute_string_io(const StringIo& io, const StringContext& context, StringRegisters& registers,
                                 walk::GuestBytes& memory, PortAccess& ports, unsigned budget) {
  const u64 mask = low_bits(io.address_bits);
  u64& index = io.is_in ? registers.rdi : registers.rsi;
  const u64 step = registers.backwards ? u64{0} - io.size : u64{io.size};
  Element element(io, context, memory, ports);
  unsigned done = 0;
  while (!io.repeat || (registers.rcx & mask) != 0) {
    StringProgress progress;
    if (done == budget) progress.kind = Kind::unfinished;
    else progress = element.run(index & mask);
    if (progress.kind != Kind::complete) {
      progress.elements = done;
      return progress;
    }
    ++done;
    assign(index, index + step, io.address_bits);
    if (!io.repeat) break;
    assign(registers.rcx, registers.rcx - 1, io.address_bits);
  }
  StringProgress complete;
  complete.elements = done;
  return complete;
}
}  // namespace octavo::vcpu
