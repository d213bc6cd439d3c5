// SPDX-License-Identifier: Apache-2.0
#include "devices/port_bus.hpp"

namespace octavo::devices {

unsigned PortBus::attach(PortDevice& device, PortWidth width, PortTimed timed, std::initializer_list<PortRange> ranges) {
  const unsigned slot = used_slots_++;
  slots_[slot] = {&device, width, timed};
  for (const PortRange& range : ranges) {
    for (u32 port = range.first; port < u32{range.first} + range.count; ++port) map_[port] = static_cast<u8>(slot);
  }
  return slot;
}

bool PortBus::whole(unsigned slot, u16 port, unsigned size) const {
  if (size == 1) return true;
  if (slots_[slot].width == PortWidth::byte) return false;
  for (unsigned i = 1; i < size; ++i) {
    if (slot_of(u32{port} + i) != slot) return false;
  }
  return true;
}

u32 PortBus::read(u16 port, unsigned size) {
  const unsigned slot = slot_of(port);
  if (whole(slot, port, size)) [[likely]] return read_from(slot, port, size);
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) {
    // A byte beyond the last port is nobody's.
    value |= read_from(slot_of(u32{port} + i), static_cast<u16>(port + i), 1) << (8 * i);
  }
  return value;
}

void PortBus::write(u16 port, unsigned size, u32 value) {
  const unsigned slot = slot_of(port);
  if (whole(slot, port, size)) [[likely]] return write_to(slot, port, size, value);
  for (unsigned i = 0; i < size; ++i) {
    write_to(slot_of(u32{port} + i), static_cast<u16>(port + i), 1, value >> (8 * i));
  }
}

u32 PortBus::read_from(unsigned slot, u16 port, unsigned size) {
  const u32 mask = static_cast<u32>(low_bits(8 * size));
  if (slot == 0) [[unlikely]] {
    note_unknown(port, size, false);
    return mask;
  }
  ++counters_.reads[slot];
  timed_accesses_ += slots_[slot].timed == PortTimed::yes;
  return slots_[slot].device->read(port, size) & mask;
}

void PortBus::write_to(unsigned slot, u16 port, unsigned size, u32 value) {
  if (slot == 0) [[unlikely]] return note_unknown(port, size, true);
  ++counters_.writes[slot];
  timed_accesses_ += slots_[slot].timed == PortTimed::yes;
  slots_[slot].device->write(port, size, value & static_cast<u32>(low_bits(8 * size)));
}

void PortBus::note_unknown(u16 port, unsigned size, bool is_write) {
  counters_.recent_unknown[counters_.unknown() % k_recent] = port;
  ++(is_write ? counters_.writes : counters_.reads)[0];
  events_.unknown_port(port, size, is_write);
}
}  // namespace octavo::devices
