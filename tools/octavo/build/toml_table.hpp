// SPDX-License-Identifier: Apache-2.0
// The flat table of keys that a domain's TOML is: typed getters that name file, line and key in what they complain about.
// Keys are fetched by name; the list of known names is what unknown ones are compared with.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/octavo/build/outcome.hpp"

namespace octavo::build {

class TomlTable {
 public:
  /// Fails on a syntax error, and on keys that are not in `known` (with the nearest that is).
  [[nodiscard]] static Outcome<TomlTable> parse(std::string_view text, const std::string& file,
                                                std::span<const std::string_view> known);
  ~TomlTable();
  TomlTable(TomlTable&&) noexcept;
  TomlTable& operator=(TomlTable&&) noexcept;

  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] Outcome<std::string> text(std::string_view key) const;
  [[nodiscard]] Outcome<std::vector<std::string>> texts(std::string_view key) const;
  [[nodiscard]] Outcome<u64> number(std::string_view key) const;
  /// An integer of bytes or a text such as "512M".
  [[nodiscard]] Outcome<u64> size(std::string_view key) const;
  /// The position in `words` of a text that must be one of them.
  [[nodiscard]] Outcome<usize> choice(std::string_view key, std::span<const std::string_view> words) const;

  [[nodiscard]] std::map<std::string, u32> lines() const;
  /// "web.toml:7", or "web.toml" where the key is not there.
  [[nodiscard]] std::string where(std::string_view key) const;

 private:
  struct Content;
  explicit TomlTable(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

/// The word of `known` that `word` abbreviates (the shortest), else the one with the smallest edit distance; nothing where none
/// is near.
[[nodiscard]] std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known);
}  // namespace octavo::build
