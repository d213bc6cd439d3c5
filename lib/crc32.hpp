// SPDX-License-Identifier: Apache-2.0
// CRC-32 (IEEE 802.3, reflected 0xedb88320, as in zlib), eight bytes a step. It may be fed in pieces, so that whoever copies
// a segment can check it on the way.
#pragma once
#include <span>

#include "lib/int.hpp"

namespace octavo {

class Crc32 {
 public:
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] u32 value() const { return ~state_; }

 private:
  u32 state_ = ~u32{0};
};

[[nodiscard]] inline u32 crc32(std::span<const std::byte> bytes) {
  Crc32 crc;
  crc.update(bytes);
  return crc.value();
}
}  // namespace octavo
