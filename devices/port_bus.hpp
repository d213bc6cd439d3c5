// SPDX-License-Identifier: Apache-2.0
// The I/O port bus of a board. Each port below 0x1000 has one byte that names its slot, so finding a device is one compare and
// one load. Accesses that are wider than a device, or that straddle two, become byte accesses in ascending order, as on the ISA
// bus; bytes that nobody answers read as ones, are counted, and are told to the domain. Used by Board alone.
#pragma once
#include <array>
#include <initializer_list>

#include "devices/device.hpp"

namespace octavo::devices {

/// Ports first .. first + count - 1.
struct PortRange {
  u16 first;
  u16 count;
};

/// What a device makes of an access of 2 or 4 bytes.
enum class PortWidth : u8 {
  byte,  ///< an 8-bit device: the bus splits wider accesses
  wide,  ///< takes every size that lies within one of its ranges
};

/// Does an access to the device change when it wants to be called? Then Board computes its deadline anew.
enum class PortTimed : bool { no, yes };

class PortBus {
 public:
  static constexpr unsigned k_ports = 0x1000;
  static constexpr unsigned k_slots = 16;  ///< slot 0 is nobody
  static constexpr unsigned k_recent = 8;

  struct Counters {
    std::array<u64, k_slots> reads{};   ///< by slot; [0] is unknown ports
    std::array<u64, k_slots> writes{};  ///< by slot; [0] is unknown ports
    std::array<u16, k_recent> recent_unknown{};  ///< a ring; the newest is at (unknown() - 1) % k_recent
    [[nodiscard]] u64 unknown() const { return reads[0] + writes[0]; }
  };

  explicit PortBus(BoardEvents& events) : events_(events) {}
  PortBus(const PortBus&) = delete;
  PortBus& operator=(const PortBus&) = delete;

  /// Gives the device its ranges, which lie below k_ports and are free; returns its slot. Only while the board is put together.
  unsigned attach(PortDevice& device, PortWidth width, PortTimed timed, std::initializer_list<PortRange> ranges);

  /// size is 1, 2 or 4. Bits above size are zero in what is returned and ignored in what is written.
  [[nodiscard]] u32 read(u16 port, unsigned size);
  void write(u16 port, unsigned size, u32 value);

  /// How often timed devices have been accessed; changes whenever a deadline may have changed.
  [[nodiscard]] u64 timed_accesses() const { return timed_accesses_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Slot {
    PortDevice* device = nullptr;
    PortWidth width = PortWidth::wide;
    PortTimed timed = PortTimed::no;
  };

  [[nodiscard]] unsigned slot_of(u32 port) const { return port < k_ports ? map_[port] : 0; }
  static constexpr std::array<u32, 8> k_masks{0, 0xFF, 0xFFFF, 0, 0xFFFF'FFFF};
  /// The bits of 1, 2 or 4 bytes; nothing for what three bits of an exit's information could say besides.
  [[nodiscard]] static u32 mask_of(unsigned size) { return k_masks[size]; }
  /// Does one slot take the whole access as it is?
  [[nodiscard]] bool whole(unsigned slot, u16 port, unsigned size) const;
  // Byte by byte, and nobody's: apart from the hot path, which has to save no registers for them.
  [[gnu::noinline]] u32 read_bytes(u16 port, unsigned size);
  [[gnu::noinline]] void write_bytes(u16 port, unsigned size, u32 value);
  [[gnu::noinline]] u32 read_unknown(u16 port, unsigned size);
  [[gnu::noinline]] void write_unknown(u16 port, unsigned size);
  u32 read_from(unsigned slot, u16 port, unsigned size);
  void write_to(unsigned slot, u16 port, unsigned size, u32 value);

  BoardEvents& events_;
  std::array<Slot, k_slots> slots_{};
  unsigned used_slots_ = 1;
  u64 timed_accesses_ = 0;
  Counters counters_{};
  std::array<u8, k_ports> map_{};
};
}  // namespace octavo::devices
