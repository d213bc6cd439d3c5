// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/io_apic.hpp"

#include "arch/x86/paging.hpp"
#include "arch/x86/registers.hpp"

namespace octavo::arch {

void silence_legacy_pics() {
  constexpr u16 primary = 0x20, secondary = 0xa0;
  constexpr u8 initialize_with_icw4 = 0x11, mode_8086 = 1, isa_vectors = static_cast<u8>(Vector::isa_base);
  out8(primary, initialize_with_icw4);
  out8(secondary, initialize_with_icw4);
  out8(primary + 1, isa_vectors);
  out8(secondary + 1, isa_vectors + 8);
  out8(primary + 1, 1 << 2);  // the secondary is on input 2
  out8(secondary + 1, 2);
  out8(primary + 1, mode_8086);
  out8(secondary + 1, mode_8086);
  out8(primary + 1, 0xff);
  out8(secondary + 1, 0xff);
}

namespace io_apic {
namespace {
constexpr u8 k_version = 1, k_redirection = 0x10;
constexpr u32 k_masked = 1 << 16, k_level = 1 << 15, k_active_low = 1 << 13;

/// The registers are behind a window: an index, then the value 16 bytes further (82093AA, 3.0).
class Controller {
 public:
  void attach(const acpi::IoApicEntry& entry) {
    window_ = static_cast<volatile u8*>(map_mmio(entry.base, 0x20, Caching::uncached));
    first_ = entry.first_interrupt;
    inputs_ = (read(k_version) >> 16 & 0xff) + 1;
    for (u32 input = 0; input < inputs_; ++input) write(low_half(input), k_masked);
  }
  [[nodiscard]] bool has(u32 interrupt) const { return inputs_ != 0 && interrupt >= first_ && interrupt - first_ < inputs_; }
  void route(u32 interrupt, u32 low, u32 apic_id) {
    const u32 input = interrupt - first_;
    write(low_half(input), k_masked);
    write(static_cast<u8>(low_half(input) + 1), apic_id << 24);
    write(low_half(input), low);
  }

 private:
  static u8 low_half(u32 input) { return static_cast<u8>(k_redirection + 2 * input); }
  u32 read(u8 index) {
    *reinterpret_cast<volatile u32*>(window_) = index;
    return *reinterpret_cast<volatile u32*>(window_ + 0x10);
  }
  void write(u8 index, u32 value) {
    *reinterpret_cast<volatile u32*>(window_) = index;
    *reinterpret_cast<volatile u32*>(window_ + 0x10) = value;
  }

  volatile u8* window_ = nullptr;
  u32 first_ = 0, inputs_ = 0;
};
constinit Controller controllers[acpi::Madt::k_max_io_apics];
}  // namespace

void initialize(const acpi::Madt& madt) {
  for (usize i = 0; i < madt.io_apic_count; ++i) controllers[i].attach(madt.io_apics[i]);
}

bool route_isa(const acpi::Madt& madt, u8 irq, Vector vector, u32 apic_id) {
  if (apic_id > 0xff) return false;  // the destination field has eight bits
  const acpi::IsaRoute& isa = madt.isa[irq];
  u32 low = static_cast<u32>(vector);
  if (isa.trigger == acpi::Trigger::level) low |= k_level;
  if (isa.polarity == acpi::Polarity::low) low |= k_active_low;
  for (Controller& controller : controllers) {
    if (!controller.has(isa.interrupt)) continue;
    controller.route(isa.interrupt, low, apic_id);
    return true;
  }
  return false;
}
}  // namespace io_apic
}  // namespace octavo::arch
