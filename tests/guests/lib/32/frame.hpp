// SPDX-License-Identifier: Apache-2.0
// What 32/vectors.S leaves on the stack. sp and ss are only there when the privilege level changed.
#pragma once
#include "int.hpp"

struct Frame {
  u32 es, ds;
  u32 di, si, bp, pushed_sp, bx, dx, cx, ax;
  u32 vector, error;
  u32 ip, cs, flags, sp, ss;
};
static_assert(sizeof(Frame) == 17 * 4);
