// SPDX-License-Identifier: Apache-2.0
// The domain image's checker against arbitrary bytes. The input is a tree; it is tried as it is and with the rest of the file
// behind it that it asks for, so that damage goes where decisions are made.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/fuzz/image_oracle.hpp"

namespace {

using namespace octavo;

constexpr u64 k_largest_file = u64{1} << 20;

void check(std::span<const std::byte> bytes) {
  static domain::Image image;
  const auto checked = domain::check_image(bytes, image);
  char text[256];
  BufferSink sink{text};
  if (!checked) {
    domain::format_error(sink, checked.error());
    return;
  }
  if (const char* const promise = test::broken_promise(bytes, image)) {
    std::fprintf(stderr, "accepted, but a promise is broken: %s\n", promise);
    std::abort();
  }
  (void)domain::check_all_crcs(image);
}

/// The value of "image-size", found the way a fuzzer finds things: by the length of a property and a plausible number.
u64 wanted_size(std::span<const std::byte> tree) {
  for (usize at = 0; at + 20 <= tree.size(); at += 4) {
    const auto word = [&](usize offset) {
      u32 value;
      __builtin_memcpy(&value, tree.data() + at + offset, sizeof value);
      return __builtin_bswap32(value);
    };
    // FDT_PROP, 8 bytes, a name, below 4 GiB, whole pages: the first in the root is image-size
    if (word(0) == 3 && word(4) == 8 && word(12) == 0 && word(16) != 0 && word(16) % k_page_size == 0) return word(16);
  }
  return 0;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes{begin, begin + size};  // aligned as the checker wants it, and with redzones
  check(bytes);
  if (const u64 wanted = wanted_size(bytes); wanted > size && wanted <= k_largest_file) {
    bytes.resize(wanted);
    check(bytes);
  }
  return 0;
}
