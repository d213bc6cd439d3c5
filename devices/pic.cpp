// SPDX-License-Identifier: Apache-2.0
#include "devices/pic.hpp"

#include <bit>

namespace octavo::devices {
namespace {
// Data sheet, figures 7 and 8: initialization and operation command words.
constexpr u8 k_icw1 = 0x10, k_icw1_needs_icw4 = 0x01, k_icw1_single = 0x02;
constexpr u8 k_icw4_auto_eoi = 0x02, k_icw4_fully_nested = 0x10;
constexpr u8 k_ocw3 = 0x08;
constexpr u8 k_ocw3_read_isr = 0x01, k_ocw3_read = 0x02, k_ocw3_poll = 0x04, k_ocw3_special = 0x20, k_ocw3_set_special = 0x40;
constexpr u8 k_poll_interrupt = 0x80;
// The timer, the keyboard, the cascade, the clock and the coprocessor cannot be level-triggered (PIIX3, 2.5.10.1).
constexpr u8 k_never_level_master = 0x07, k_never_level_slave = 0x21;

constexpr u8 bit(unsigned input) { return static_cast<u8>(1U << input); }
}  // namespace

void PicChip::set_line(unsigned input, bool asserted) {
  if (!asserted) {
    lines_ &= static_cast<u8>(~bit(input));
    edges_ &= static_cast<u8>(~bit(input));
  } else if ((lines_ & bit(input)) == 0) {
    lines_ |= bit(input);
    edges_ |= bit(input);
  }
}

unsigned PicChip::by_priority(unsigned inputs) const {
  return std::rotr(static_cast<u8>(inputs), static_cast<int>((lowest_ + 1U) & 7));
}

std::optional<unsigned> PicChip::highest_in_service() const {
  // In special mask mode a masked level that is in service no longer holds back the others ("Special Mask Mode").
  const unsigned holding = by_priority(special_mask_ ? in_service_ & ~unsigned{mask_} : in_service_);
  if (holding == 0) return std::nullopt;
  return input_at(static_cast<unsigned>(std::countr_zero(holding)));
}

std::optional<unsigned> PicChip::request() const {
  const unsigned wanting = by_priority(requests() & ~unsigned{mask_});
  if (wanting == 0 || step_ != Step::ready) return std::nullopt;
  const unsigned input = input_at(static_cast<unsigned>(std::countr_zero(wanting)));
  const auto busy = highest_in_service();
  if (!busy || by_priority(bit(input)) < by_priority(bit(*busy))) return input;
  // Special fully nested mode: the slave may interrupt its own service routine.
  if (fully_nested_ && role_ == Role::master && input == Pic::k_cascade && *busy == input) return input;
  return std::nullopt;
}

u8 PicChip::acknowledge(std::optional<unsigned> input) {
  if (!input) return static_cast<u8>(base_ + 7);
  edges_ &= static_cast<u8>(~bit(*input));
  if (!auto_eoi_) {
    in_service_ |= bit(*input);
  } else if (rotate_on_auto_eoi_) {
    lowest_ = static_cast<u8>(*input);
  }
  return static_cast<u8>(base_ + *input);
}

u8 PicChip::read(unsigned a0) {
  if (poll_) {  // "Poll Command": the next read is the acknowledge
    poll_ = false;
    const auto input = request();
    if (!input) return 0;
    acknowledge(input);
    return static_cast<u8>(k_poll_interrupt | *input);
  }
  if (a0 == 1) return mask_;
  return read_in_service_ ? in_service_ : requests();
}

void PicChip::write(unsigned a0, u8 value) {
  if (a0 == 1) return configure(value);
  if ((value & k_icw1) != 0) return initialize(value);
  if ((value & k_ocw3) != 0) return select(value);
  command(value);
}

// ICW1: "the edge sense circuit is reset, IMR is cleared, IR7 is assigned priority 7, special mask mode is cleared, status read is
// set to IRR; if IC4 = 0 all functions selected in ICW4 are zero". That nothing stays in service is what every chip does.
void PicChip::initialize(u8 icw1) {
  edges_ = 0;
  mask_ = 0;
  in_service_ = 0;
  lowest_ = 7;
  special_mask_ = read_in_service_ = poll_ = false;
  auto_eoi_ = rotate_on_auto_eoi_ = fully_nested_ = false;
  single_ = (icw1 & k_icw1_single) != 0;
  wants_icw4_ = (icw1 & k_icw1_needs_icw4) != 0;
  step_ = Step::icw2;
}

void PicChip::configure(u8 value) {
  switch (step_) {
    case Step::cold:
    case Step::ready:
      mask_ = value;
      return;
    case Step::icw2:
      base_ = value & 0xF8;
      step_ = !single_ ? Step::icw3 : wants_icw4_ ? Step::icw4 : Step::ready;
      return;
    case Step::icw3:
      step_ = wants_icw4_ ? Step::icw4 : Step::ready;
      return;
    case Step::icw4:
      auto_eoi_ = (value & k_icw4_auto_eoi) != 0;
      fully_nested_ = (value & k_icw4_fully_nested) != 0;
      step_ = Step::ready;
      return;
  }
}

void PicChip::command(u8 ocw2) {
  const u8 named = ocw2 & 7;
  const auto end = [this](unsigned input) { in_service_ &= static_cast<u8>(~bit(input)); };
  switch (ocw2 >> 5) {  // R, SL, EOI
    case 0b000: rotate_on_auto_eoi_ = false; return;
    case 0b100: rotate_on_auto_eoi_ = true; return;
    case 0b001:
    case 0b101:
      if (const auto busy = highest_in_service()) {
        end(*busy);
        if ((ocw2 & 0x80) != 0) lowest_ = static_cast<u8>(*busy);
      }
      return;
    case 0b011: end(named); return;
    case 0b111: end(named); lowest_ = named; return;
    case 0b110: lowest_ = named; return;
    default: return;  // 010: no operation
  }
}

void PicChip::select(u8 ocw3) {
  if ((ocw3 & k_ocw3_set_special) != 0) special_mask_ = (ocw3 & k_ocw3_special) != 0;
  poll_ = (ocw3 & k_ocw3_poll) != 0;
  if (!poll_ && (ocw3 & k_ocw3_read) != 0) read_in_service_ = (ocw3 & k_ocw3_read_isr) != 0;
}

void PicChip::reset() {
  const u8 lines = lines_;
  *this = PicChip{role_};
  lines_ = lines;
}

void Pic::update() {
  master_.set_line(k_cascade, slave_.request().has_value());
  pending_ = master_.request().has_value();
}

void Pic::slave_served() {
  master_.set_line(k_cascade, false);
  update();
}

void Pic::set_irq(unsigned irq, bool asserted) {
  if (irq < 8) {
    if (irq != k_cascade) master_.set_line(irq, asserted);
  } else {
    slave_.set_line(irq & 7, asserted);
  }
  update();
}

u8 Pic::acknowledge() {
  auto input = master_.request();
  u8 vector = master_.acknowledge(input);
  if (input == k_cascade) {
    input = slave_.request();
    vector = slave_.acknowledge(input);
    slave_served();
  }
  if (!input) ++spurious_;
  update();
  return vector;
}

void Pic::set_level_triggered(unsigned irq) {
  PicChip& chip = irq < 8 ? master_ : slave_;
  chip.set_level_mask(chip.level_mask() | bit(irq & 7));
  update();
}

u32 Pic::read(u16 port, unsigned /*size*/) {
  switch (port) {
    case 0x4D0: return master_.level_mask();
    case 0x4D1: return slave_.level_mask();
    default: break;
  }
  const bool is_slave = (port & 0x80) != 0;
  PicChip& chip = is_slave ? slave_ : master_;
  const bool polled = chip.polling();
  const u8 value = chip.read(port & 1);
  if (is_slave && polled) slave_served();
  update();
  return value;
}

void Pic::write(u16 port, unsigned /*size*/, u32 value) {
  const u8 byte = static_cast<u8>(value);
  switch (port) {
    case 0x4D0: master_.set_level_mask(byte & static_cast<u8>(~k_never_level_master)); break;
    case 0x4D1: slave_.set_level_mask(byte & static_cast<u8>(~k_never_level_slave)); break;
    default: ((port & 0x80) != 0 ? slave_ : master_).write(port & 1, byte); break;
  }
  update();
}

void Pic::reset() {
  master_.reset();
  slave_.reset();
  update();
}
}  // namespace octavo::devices
