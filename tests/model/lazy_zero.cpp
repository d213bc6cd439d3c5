// SPDX-License-Identifier: Apache-2.0
// Zeroing a large part of the simulated machine gives its pages back to the host instead, which reads as zero too: the frame table of a
// terabyte is 4 GiB, and almost all of it is never used; most of a test's time went into it. Linked with --wrap=memset (and __asan_memset, which
// Clang calls instead where it instruments); nothing smaller than 1 MiB is touched, and nothing under TSan, which is to see each store.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace {
using Memset = void* (*)(void*, int, std::size_t);

void* zero_or_set(void* to, int value, std::size_t size, Memset set) {
#ifdef __SANITIZE_THREAD__
  constexpr bool k_lazy = false;
#else
  constexpr bool k_lazy = true;
#endif
  const bool whole_pages = k_lazy && reinterpret_cast<std::uintptr_t>(to) % 4096 == 0;
  const std::size_t pages = size & ~std::size_t{4095};
  if (value != 0 || size < std::size_t{1} << 20 || !whole_pages || madvise(to, pages, MADV_DONTNEED) != 0) return set(to, value, size);
  if (size > pages) set(static_cast<char*>(to) + pages, 0, size - pages);
  return to;
}
}  // namespace

extern "C" {
void* __real_memset(void* to, int value, std::size_t size);
void* __wrap_memset(void* to, int value, std::size_t size);
void* __wrap_memset(void* to, int value, std::size_t size) { return zero_or_set(to, value, size, __real_memset); }

#ifdef __clang__
#if __has_feature(address_sanitizer)
void* __real___asan_memset(void* to, int value, std::size_t size);
void* __wrap___asan_memset(void* to, int value, std::size_t size);
void* __wrap___asan_memset(void* to, int value, std::size_t size) { return zero_or_set(to, value, size, __real___asan_memset); }
#endif
#endif
}
