// SPDX-License-Identifier: Apache-2.0
// Domain images for the cases: built by `octavo build` as a person would, and spoilt in one place on purpose.
#pragma once
#include <cstdint>

#include "tests/system/case.hpp"

namespace octavo::system_test {

/// Writes NAME.toml with `text` behind `name = NAME` and builds NAME.dom from it in the case's folder; returns its path.
std::string build_image(const Bench& bench, const std::string& name, const std::string& text);
/// A domain of 64 MiB with the micro guest GUEST (build/guests/GUEST.elf).
std::string build_guest(const Bench& bench, const std::string& guest);
/// The smallest guest that passes, as the domain NAME; it says k_good_guest_text.
std::string build_good_guest(const Bench& bench, const std::string& memory = "16M", const std::string& name = "good");
inline constexpr const char* k_good_guest_text = "good guest: alive\n";

/// A guest that waits to be ended: asleep ("idle", says k_idle_guest_text) or in a loop ("spin"); the domain has that name too.
std::string build_waiting_guest(const Bench& bench, const std::string& kind);
inline constexpr const char* k_idle_guest_text = "idle guest: alive\n";

/// Debian's kernel with the demonstration's initrd; `words` are for its command line, `more` lines for the TOML file.
std::string linux_image(const Bench& bench, const std::string& name, const std::string& memory, const std::string& words, const std::string& more = {});

/// An image as bytes and as the device tree at its start.
class Image {
 public:
  explicit Image(const std::string& path);
  void set64(const char* node, const char* property, std::uint64_t value);
  void set32(const char* node, const char* property, std::uint32_t value);
  void set_text(const char* node, const char* property, const std::string& same_length);
  [[nodiscard]] std::uint64_t get64(const char* node, const char* property);
  std::string& bytes() { return bytes_; }
  /// Into the case's folder.
  std::string write(const Bench& bench, const std::string& name) const;

 private:
  void set(const char* node, const char* property, const std::string& value);
  std::string bytes_;
};
}  // namespace octavo::system_test
