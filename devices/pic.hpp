// SPDX-License-Identifier: Apache-2.0
// The two 8259A interrupt controllers of a PC, the second on input 2 of the first, with the edge/level registers of the PIIX.
// Source: Intel 8259A data sheet (231468); 82371SB (PIIX3) for 0x4D0/0x4D1, which replace ICW1.LTIM. Invariant: pending() is
// true exactly when acknowledge() would hand out a vector that is not spurious. ICW3 is not looked at: the wiring is the PC's.
#pragma once
#include <optional>

#include "devices/device.hpp"

namespace octavo::devices {

/// One 8259A. Inputs, priorities and commands; knows nothing of the other chip.
class PicChip {
 public:
  enum class Role : u8 { master, slave };
  explicit PicChip(Role role) : role_(role) {}

  void set_line(unsigned input, bool asserted);
  /// a0 is the lowest address line: 0 = command/IRR/ISR, 1 = data/IMR.
  [[nodiscard]] u8 read(unsigned a0);
  void write(unsigned a0, u8 value);
  /// The input that would interrupt now: the highest unmasked request above everything in service.
  [[nodiscard]] std::optional<unsigned> request() const;
  /// INTA: moves input from IRR to ISR (not under automatic EOI) and returns its vector; nothing = spurious, input 7's vector.
  u8 acknowledge(std::optional<unsigned> input);
  void reset();

  [[nodiscard]] u8 level_mask() const { return level_; }
  void set_level_mask(u8 mask) { level_ = mask; }
  /// IRR: inputs that request. An edge counts only as long as its line stays high (data sheet, "Edge and Level Triggered Modes").
  [[nodiscard]] u8 requests() const { return static_cast<u8>(lines_ & (edges_ | level_)); }
  [[nodiscard]] u8 in_service() const { return in_service_; }
  [[nodiscard]] u8 mask() const { return mask_; }
  /// Will the next read be an acknowledge (OCW3.P)?
  [[nodiscard]] bool polling() const { return poll_; }

 private:
  enum class Step : u8 { cold, icw2, icw3, icw4, ready };
  void initialize(u8 icw1);
  void configure(u8 value);
  void command(u8 ocw2);
  void select(u8 ocw3);
  /// Bit 0 of the result is the input of highest priority.
  [[nodiscard]] unsigned by_priority(unsigned inputs) const;
  [[nodiscard]] unsigned input_at(unsigned rank) const { return (lowest_ + 1 + rank) & 7; }
  [[nodiscard]] std::optional<unsigned> highest_in_service() const;

  Role role_;
  Step step_ = Step::cold;
  u8 lines_ = 0, edges_ = 0, level_ = 0;
  u8 mask_ = 0xFF, in_service_ = 0, base_ = 0;
  u8 lowest_ = 7;  ///< the input of lowest priority
  bool single_ = false, wants_icw4_ = false;
  bool auto_eoi_ = false, rotate_on_auto_eoi_ = false, fully_nested_ = false;
  bool special_mask_ = false, read_in_service_ = false, poll_ = false;
};

/// Ports 0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1. IRQ n is input n of the first chip below 8, input n - 8 of the second above.
class Pic final : public PortDevice {
 public:
  static constexpr unsigned k_cascade = 2;

  Pic() { reset(); }
  void set_irq(unsigned irq, bool asserted);
  [[nodiscard]] bool pending() const { return pending_; }
  /// What the CPU's two INTA cycles fetch. Without a request it is a spurious vector: input 7 of the chip that was asked.
  u8 acknowledge();
  /// What firmware writes to the edge/level registers: IRQ of the ACPI SCI or of PCI devices.
  void set_level_triggered(unsigned irq);

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  /// Masked and without ICWs, as firmware leaves it; lines keep their level, because the devices drive them.
  void reset() override;

  [[nodiscard]] const PicChip& master() const { return master_; }
  [[nodiscard]] const PicChip& slave() const { return slave_; }
  [[nodiscard]] u64 spurious() const { return spurious_; }

 private:
  void update();
  /// The slave's output falls with each INTA and rises again if there is more; the master's edge logic needs to see that.
  void slave_served();

  PicChip master_{PicChip::Role::master};
  PicChip slave_{PicChip::Role::slave};
  bool pending_ = false;
  u64 spurious_ = 0;
};

/// One input of the pair, as a wire for a device to hold.
class PicInput final : public InterruptLine {
 public:
  PicInput(Pic& pic, unsigned irq) : pic_(pic), irq_(irq) {}
  void set(bool asserted) override { pic_.set_irq(irq_, asserted); }

 private:
  Pic& pic_;
  unsigned irq_;
};
}  // namespace octavo::devices
