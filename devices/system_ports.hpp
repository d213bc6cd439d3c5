// SPDX-License-Identifier: Apache-2.0
// The small ports of a PC's board, each a latch or less: POST code (0x80), system control port A (0x92), debug exit (0xF4), and
// where PCI would be (0xCF8). There is no PCI: 0xCF8 reads as ones and not as written, because an operating system that reads its
// address back goes on to probe every slot, 512 accesses, while ones end Linux's search with three. Source: PIIX3 2.5.4, 2.5.5.
#pragma once
#include "devices/device.hpp"

namespace octavo::devices {

/// Ports 0x80, 0x92, 0xF4 to 0xF7, 0xCF8 to 0xCFF.
class SystemPorts final : public PortDevice {
 public:
  explicit SystemPorts(BoardEvents& events) : events_(events) {}

  [[nodiscard]] u32 read(u16 port, unsigned size) override;
  void write(u16 port, unsigned size, u32 value) override;
  void reset() override;

  /// The last POST code: how far a guest came that says nothing else.
  [[nodiscard]] u8 post_code() const { return post_code_; }

 private:
  BoardEvents& events_;
  u8 post_code_ = 0, control_a_ = 0, reset_control_ = 0;
};
}  // namespace octavo::devices
