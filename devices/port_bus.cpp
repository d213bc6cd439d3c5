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
  return whole(slot, port, size) ? read_from(slot, port, size) : read_bytes(port, size);
}

void PortBus::write(u16 port, unsigned size, u32 value) {
  const unsigned slot = slot_of(port);
  return whole(slot, port, size) ? write_to(slot, port, size, value) : write_bytes(port, size, value);
}

u32 PortBus::read_bytes(u16 port, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) {
    // A byte beyond the last port is nobody's.
    value |= read_from(slot_of(u32{port} + i), static_cast<u16>(port + i), 1) << (8 * i);
  }
  return value;
}

void PortBus::write_bytes(u16 port, unsigned size, u32 value) {
  for (unsigned i = 0; i < size; ++i) {
    write_to(slot_of(u32{port} + i), static_cast<u16>(port + i), 1, value >> (8 * i));
  }
}

u32 PortBus::read_unknown(u16 port, unsigned size) {
  counters_.recent_unknown[counters_.unknown() % k_recent] = port;
  ++counters_.reads[0];
  events_.unknown_port(port, size, false);
  return mask_of(size);
}

void PortBus::write_unknown(u16 port, unsigned size) {
  counters_.recent_unknown[counters_.unknown() % k_recent] = port;
  ++counters_.writes[0];
  events_.unknown_port(port, size, true);
}

u32 PortBus::read_from(unsigned slot, u16 port, unsigned size) {
  if (slot == 0) [[unlikely]] return read_unknown(port, size);
  ++counters_.reads[slot];
  timed_accesses_ += slots_[slot].timed == PortTimed::yes;
  return slots_[slot].device->read(port, size) & mask_of(size);
}

void PortBus::write_to(unsigned slot, u16 port, unsigned size, u32 value) {
  if (slot == 0) [[unlikely]] return write_unknown(port, size);
  ++counters_.writes[slot];
  timed_accesses_ += slots_[slot].timed == PortTimed::yes;
  slots_[slot].device->write(port, size, value & mask_of(size));
}
}  // namespace octavo::devices
