// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/toml_table.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <numeric>

#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

usize edit_distance(std::string_view a, std::string_view b) {
  std::vector<usize> row(b.size() + 1);
  std::iota(row.begin(), row.end(), usize{0});
  for (usize i = 0; i < a.size(); ++i) {
    usize diagonal = std::exchange(row[0], i + 1);
    for (usize j = 0; j < b.size(); ++j) {
      const usize replace = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

/// "cmdline" of "command_line": at least three letters, all there, in this order.
bool is_abbreviation(std::string_view word, std::string_view whole) {
  usize used = 0;
  for (const char c : whole) {
    if (used < word.size() && word[used] == c) ++used;
  }
  return word.size() >= 3 && used == word.size();
}

std::string quoted_list(std::span<const std::string_view> words) {
  std::string list;
  for (usize i = 0; i < words.size(); ++i) {
    list += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
  }
  return list;
}
}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  for (const std::string_view candidate : known) {
    if (is_abbreviation(word, candidate) && (best.empty() || candidate.size() < best.size())) best = candidate;
  }
  if (!best.empty()) return best;
  usize best_distance = std::max<usize>(2, word.size() / 3) + 1;  // two slips, or a third of a long word
  for (const std::string_view candidate : known) {
    const usize distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

struct TomlTable::Content {
  toml::table table;
  std::string file;
};

TomlTable::TomlTable(std::unique_ptr<Content> content) : content_(std::move(content)) {}
TomlTable::~TomlTable() = default;
TomlTable::TomlTable(TomlTable&&) noexcept = default;
TomlTable& TomlTable::operator=(TomlTable&&) noexcept = default;

Outcome<TomlTable> TomlTable::parse(std::string_view text, const std::string& file,
                                    std::span<const std::string_view> known) {
  toml::parse_result result = toml::parse(text);
  if (!result) return failure("{}:{}: {}", file, result.error().source().begin.line, result.error().description());
  auto content = std::make_unique<Content>(Content{std::move(result).table(), file});
  // The table is in alphabetical order; people want the first of their file.
  const toml::key* unknown = nullptr;
  for (const auto& [key, value] : content->table) {
    if (std::ranges::find(known, key.str()) != known.end()) continue;
    if (unknown == nullptr || key.source().begin < unknown->source().begin) unknown = &key;
  }
  if (unknown == nullptr) return TomlTable{std::move(content)};
  const std::string_view near = nearest_word(unknown->str(), known);
  const u32 line = unknown->source().begin.line;
  if (!near.empty()) return failure("{}:{}: unknown key {}; did you mean {}?", file, line, unknown->str(), near);
  return failure("{}:{}: unknown key {}; the keys are {}", file, line, unknown->str(), fmt::join(known, ", "));
}

bool TomlTable::has(std::string_view key) const { return content_->table.contains(key); }

std::string TomlTable::where(std::string_view key) const {
  const auto found = content_->table.find(key);
  if (found == content_->table.end()) return content_->file;
  return fmt::format("{}:{}", content_->file, found->first.source().begin.line);
}

std::map<std::string, u32> TomlTable::lines() const {
  std::map<std::string, u32> lines;
  for (const auto& [key, value] : content_->table) lines.emplace(key.str(), key.source().begin.line);
  return lines;
}

Outcome<std::string> TomlTable::text(std::string_view key) const {
  const toml::node* node = content_->table.get(key);
  if (node == nullptr) return failure("{}: {} is missing", where(key), key);
  if (!node->is_string()) return failure("{}: {} is not a text in quotes", where(key), key);
  return node->as_string()->get();
}

Outcome<std::vector<std::string>> TomlTable::texts(std::string_view key) const {
  const toml::node* node = content_->table.get(key);
  if (node == nullptr) return failure("{}: {} is missing", where(key), key);
  std::vector<std::string> texts;
  if (!node->is_array()) return failure("{}: {} is not a list of texts: [\"...\", ...]", where(key), key);
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_string()) return failure("{}: {} is not a list of texts: [\"...\", ...]", where(key), key);
    texts.push_back(element.as_string()->get());
  }
  return texts;
}

Outcome<u64> TomlTable::number(std::string_view key) const {
  const toml::node* node = content_->table.get(key);
  if (node == nullptr) return failure("{}: {} is missing", where(key), key);
  if (!node->is_integer() || node->as_integer()->get() < 0) return failure("{}: {} is not a number", where(key), key);
  return static_cast<u64>(node->as_integer()->get());
}

Outcome<u64> TomlTable::size(std::string_view key) const {
  const toml::node* node = content_->table.get(key);
  if (node == nullptr) return failure("{}: {} is missing", where(key), key);
  if (node->is_integer() && node->as_integer()->get() >= 0) return static_cast<u64>(node->as_integer()->get());
  if (node->is_string()) {
    if (const auto bytes = parse_size(node->as_string()->get())) return *bytes;
  }
  return failure("{}: {} is not a size: \"512M\", \"2G\" or a number of bytes", where(key), key);
}

Outcome<usize> TomlTable::choice(std::string_view key, std::span<const std::string_view> words) const {
  const std::string word = OCTAVO_TRY(text(key));
  const auto found = std::ranges::find(words, word);
  if (found != words.end()) return static_cast<usize>(found - words.begin());
  return failure("{}: {} \"{}\" is not {}", where(key), key, word, quoted_list(words));
}
}  // namespace octavo::build
