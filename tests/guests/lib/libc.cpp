// SPDX-License-Identifier: Apache-2.0
// The four functions that a freestanding compiler may call.
#include "int.hpp"

extern "C" {
void* memset(void* to, int value, size_t size) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return result;
}
void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
  return result;
}
void* memmove(void* to, const void* from, size_t size) {
  u8* d = static_cast<u8*>(to);
  const u8* s = static_cast<const u8*>(from);
  if (d <= s) return memcpy(to, from, size);
  while (size-- != 0) *at(reinterpret_cast<word>(d + size)) = s[size];
  return to;
}
int memcmp(const void* a, const void* b, size_t size) {
  const u8 *x = static_cast<const u8*>(a), *y = static_cast<const u8*>(b);
  for (size_t i = 0; i < size; ++i)
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}
}
