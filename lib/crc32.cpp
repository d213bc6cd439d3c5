// SPDX-License-Identifier: Apache-2.0
#include "lib/crc32.hpp"

namespace octavo {
namespace {

constexpr u32 k_polynomial = 0xedb88320;

/// of[n][b]: what byte b does to the remainder when n more bytes follow it in the same step.
struct Tables {
  u32 of[8][256];
};

consteval Tables make_tables() {
  Tables tables{};
  for (u32 byte = 0; byte < 256; ++byte) {
    u32 remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? k_polynomial : 0);
    tables.of[0][byte] = remainder;
  }
  for (u32 byte = 0; byte < 256; ++byte) {
    for (int n = 1; n < 8; ++n) {
      const u32 before = tables.of[n - 1][byte];
      tables.of[n][byte] = (before >> 8) ^ tables.of[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables k_tables = make_tables();
}  // namespace

void Crc32::update(std::span<const std::byte> bytes) {
  const auto& t = k_tables.of;
  u32 state = state_;
  const std::byte* p = bytes.data();
  usize left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    u64 word;
    __builtin_memcpy(&word, p, sizeof word);  // little-endian, as the machine is
    word ^= state;
    state = t[7][word & 0xff] ^ t[6][(word >> 8) & 0xff] ^ t[5][(word >> 16) & 0xff] ^ t[4][(word >> 24) & 0xff] ^
            t[3][(word >> 32) & 0xff] ^ t[2][(word >> 40) & 0xff] ^ t[1][(word >> 48) & 0xff] ^ t[0][word >> 56];
  }
  for (; left != 0; --left, ++p) state = (state >> 8) ^ t[0][(state ^ static_cast<u8>(*p)) & 0xff];
  state_ = state;
}
}  // namespace octavo
