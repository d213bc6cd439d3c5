// SPDX-License-Identifier: Apache-2.0
// The few C library functions that the compiler and libfdt.a call, and the hooks of the C++ ABI. No vector registers: the copying
// is rep movs and stos, eight bytes a step: as good as bytes with ERMS, eight times as good without and in an emulator.
#include <cstddef>

#include "arch/x86/platform.hpp"

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, std::size_t size) {
  void* at = to;
  std::size_t words = size / 8, bytes = size % 8;
  asm volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
  asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
  return to;
}

void* memmove(void* to, const void* from, std::size_t size) {
  const auto target = reinterpret_cast<std::size_t>(to), source = reinterpret_cast<std::size_t>(from);
  if (target - source >= size) return memcpy(to, from, size);
  const char* last_from = static_cast<const char*>(from) + size - 1;
  char* last_to = static_cast<char*>(to) + size - 1;
  asm volatile("std\nrep movsb\ncld" : "+D"(last_to), "+S"(last_from), "+c"(size) : : "memory");
  return to;
}

void* memset(void* to, int value, std::size_t size) {
  void* at = to;
  std::size_t lines = size / 64, words = size % 64 / 8, bytes = size % 8;
  const std::size_t pattern = 0x0101'0101'0101'0101 * static_cast<unsigned char>(value);
  // Long runs, a new domain's memory above all: an emulator does a loop of stores several times as fast as it does `rep stosq`.
  for (; lines != 0; --lines) {
    asm volatile(
        "movq %1, (%0)\n movq %1, 8(%0)\n movq %1, 16(%0)\n movq %1, 24(%0)\n"
        "movq %1, 32(%0)\n movq %1, 40(%0)\n movq %1, 48(%0)\n movq %1, 56(%0)"
        : : "r"(at), "r"(pattern) : "memory");
    at = static_cast<char*>(at) + 64;
  }
  asm volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
  asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(pattern) : "memory");
  return to;
}

int memcmp(const void* a, const void* b, std::size_t size) {
  const auto* left = static_cast<const unsigned char*>(a);
  const auto* right = static_cast<const unsigned char*>(b);
  for (std::size_t i = 0; i < size; ++i) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

std::size_t strnlen(const char* text, std::size_t limit) {
  std::size_t length = 0;
  while (length < limit && text[length] != '\0') ++length;
  return length;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

void* memchr(const void* memory, int wanted, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(memory);
  for (std::size_t i = 0; i < size; ++i) {
    if (bytes[i] == static_cast<unsigned char>(wanted)) return const_cast<unsigned char*>(bytes + i);
  }
  return nullptr;
}

char* strchr(const char* text, int wanted) {
  for (;; ++text) {
    if (*text == static_cast<char>(wanted)) return const_cast<char*>(text);
    if (*text == '\0') return nullptr;
  }
}

char* strrchr(const char* text, int wanted) {
  const char* found = nullptr;
  for (;; ++text) {
    if (*text == static_cast<char>(wanted)) found = text;
    if (*text == '\0') return const_cast<char*>(found);
  }
}

int strcmp(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

/// libfdt's fdt_overlay wants it; digits of bases 2 to 36, "0x" and "0" prefixes, saturating like the C library's.
unsigned long strtoul(const char* text, char** end, int base) {
  while (*text == ' ' || (*text >= '\t' && *text <= '\r')) ++text;
  if (*text == '+') ++text;
  if ((base == 0 || base == 16) && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text += 2;
  } else if (base == 0) {
    base = *text == '0' ? 8 : 10;
  }
  unsigned long value = 0;
  for (;; ++text) {
    const char c = *text;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
    if (digit >= base) break;
    if (__builtin_mul_overflow(value, static_cast<unsigned long>(base), &value) ||
        __builtin_add_overflow(value, static_cast<unsigned long>(digit), &value)) {
      value = ~0ul;
    }
  }
  if (end != nullptr) *end = const_cast<char*>(text);
  return value;
}

[[noreturn]] void __stack_chk_fail() { octavo::arch::panic("a stack frame was overwritten (stack protector)"); }
[[noreturn]] void __cxa_pure_virtual() { octavo::arch::panic("a pure virtual function was called"); }
}

// Virtual destructors refer to these; nothing in the hypervisor is ever deleted.
void operator delete(void*) noexcept { octavo::arch::panic("operator delete was called: there is no heap"); }
void operator delete(void*, std::size_t) noexcept { octavo::arch::panic("operator delete was called: there is no heap"); }

// What libstdc++'s headers call instead of throwing, e.g. string_view::substr() from beyond the end.
namespace std {
void __throw_out_of_range_fmt(const char* what, ...) { octavo::arch::panic(what); }
}  // namespace std
