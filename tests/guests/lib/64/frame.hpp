// SPDX-License-Identifier: Apache-2.0
// What 64/vectors.S leaves on the stack.
#pragma once
#include "int.hpp"

struct Frame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
  u64 vector, error;
  u64 ip, cs, flags, sp, ss;
};
static_assert(sizeof(Frame) == 22 * 8);
