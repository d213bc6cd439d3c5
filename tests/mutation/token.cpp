// SPDX-License-Identifier: Apache-2.0
#include "tests/mutation/token.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

namespace octavo::mutation {
namespace {
bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_word_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Marks of more than one character, longest first.
constexpr std::array<std::string_view, 25> k_marks{"<=>", "<<=", ">>=", "...", "->*", "::", "->", "++", "--", "<<", ">>", "<=", ">=",
                                                   "==",  "!=",  "&&",  "||",  "+=",  "-=", "*=", "/=", "%=", "&=", "|=", "^="};

/// Where the token that begins at `at` ends.
std::size_t end_of_token(std::string_view source, std::size_t at) {
  const char first = source[at];
  std::size_t end = at + 1;
  if (first == '"' || first == '\'') {
    while (end < source.size() && source[end] != first) end += source[end] == '\\' ? 2u : 1u;
    return end + 1;
  }
  if (is_word_character(first)) {
    const bool number = std::isdigit(static_cast<unsigned char>(first)) != 0;
    while (end < source.size() && (is_word_character(source[end]) || (number && source[end] == '\'' && is_word_character(source[end + 1])))) ++end;
    return end;
  }
  const auto mark = std::ranges::find_if(k_marks, [&](std::string_view text) { return source.substr(at).starts_with(text); });
  return mark != k_marks.end() ? at + mark->size() : end;
}

/// Where a comment or a preprocessor line that begins at `at` ends; `at` when there is none.
std::size_t end_of_skipped(std::string_view source, std::size_t at, bool line_begins) {
  const auto end_of = [&](std::string_view what, std::size_t extra) {
    const std::size_t found = source.find(what, at);
    return found == std::string_view::npos ? source.size() : found + extra;
  };
  if (source.substr(at).starts_with("//")) return end_of("\n", 0);
  if (source.substr(at).starts_with("/*")) return end_of("*/", 2);
  if (source[at] != '#' || !line_begins) return at;
  std::size_t end = at;
  while (end < source.size() && (source[end] != '\n' || source[end - 1] == '\\')) ++end;
  return end;
}
}  // namespace

Tokens::Tokens(std::string source) : source_(std::move(source)) {
  unsigned line = 1;
  bool line_begins = true;
  for (std::size_t at = 0; at < source_.size();) {
    const std::size_t skipped = end_of_skipped(source_, at, line_begins);
    if (skipped > at || is_space(source_[at])) {
      const std::size_t end = std::max(skipped, at + 1);
      for (; at < end; ++at) {
        if (source_[at] != '\n') continue;
        ++line;
        line_begins = true;
      }
      continue;
    }
    line_begins = false;
    const std::size_t end = std::min(end_of_token(source_, at), source_.size());
    const char first = source_[at];
    const auto kind = first == '"' || first == '\''                                 ? Token::Kind::text
                      : std::isdigit(static_cast<unsigned char>(first)) != 0       ? Token::Kind::number
                      : is_word_character(first)                                    ? Token::Kind::word
                                                                                    : Token::Kind::mark;
    const bool spaced = at > 0 && is_space(source_[at - 1]) && end < source_.size() && is_space(source_[end]);
    tokens_.push_back({kind, at, end, line, spaced, 0});
    at = end;
  }
  match_brackets();
}

void Tokens::match_brackets() {
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < size(); ++i) {
    if (opens(i)) open.push_back(i);
    const std::string_view wanted = is(i, ")") ? "(" : is(i, "]") ? "[" : is(i, "}") ? "{" : "";
    if (wanted.empty()) continue;
    if (open.empty() || text(open.back()) != wanted) throw std::runtime_error("line " + std::to_string(tokens_[i].line) + ": no bracket matches this one");
    tokens_[i].partner = open.back();
    tokens_[open.back()].partner = i;
    open.pop_back();
  }
  if (!open.empty()) throw std::runtime_error("line " + std::to_string(tokens_[open.back()].line) + ": this bracket is never closed");
}

std::string Tokens::gap(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : tokens_[i - 1].end;
  return std::string(slice(begin, i < size() ? tokens_[i].begin : source_.size()));
}

std::string Tokens::source(std::size_t begin, std::size_t end) const {
  return begin < end ? std::string(slice(tokens_[begin].begin, tokens_[end - 1].end)) : std::string();
}
}  // namespace octavo::mutation
