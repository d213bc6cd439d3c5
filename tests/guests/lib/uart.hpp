// SPDX-License-Identifier: Apache-2.0
// COM1, a 16550, polled.
#pragma once
#include "int.hpp"

namespace uart {
enum Register : u16 {
  k_data = 0x3F8,
  k_ier = 0x3F9,
  k_iir = 0x3FA,
  k_lcr = 0x3FB,
  k_mcr = 0x3FC,
  k_lsr = 0x3FD,
  k_msr = 0x3FE,
  k_scratch = 0x3FF
};
inline constexpr u8 k_lsr_thre = 0x20, k_lsr_empty = 0x40;

void initialize();
void write(const char* string);
/// Returns when the last bit is out.
void drain();
}  // namespace uart
