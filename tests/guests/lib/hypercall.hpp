// SPDX-License-Identifier: Apache-2.0
// The hypercalls as functions of C++.
#pragma once
#include "octavo/hypercall.h"

#include "int.hpp"

namespace hypercall {
struct Answer {
  i64 result;
  u64 rdi, r8;
};
inline Answer call(u64 number, u64 rdi, u64 rsi = 0, u64 r8 = 0) {
  u64 rax = OCTAVO_HYPERCALL(number);
  register u64 in_out asm("r8") = r8;
  asm volatile("vmmcall" : "+a"(rax), "+D"(rdi), "+r"(in_out) : "S"(rsi) : "memory");
  return {static_cast<i64>(rax), rdi, in_out};
}

/// A call on a range, made again until it is done. Returns its result; `done` is how many frames were.
inline i64 on_range(u64 number, u64 gfn, u64 count, u64* done = nullptr) {
  Answer answer = call(number, gfn, count);
  while (answer.result == -OCTAVO_EAGAIN) answer = call(number, gfn, count, answer.r8);
  if (done != nullptr) *done = answer.rdi;
  return answer.result;
}
inline u64 info(u64 item) {
  const Answer answer = call(OCTAVO_HC_MEMORY_INFO, item);
  return answer.result == 0 ? answer.rdi : ~u64{0};
}
}  // namespace hypercall
