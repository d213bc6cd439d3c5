// SPDX-License-Identifier: Apache-2.0
// C++ text as tokens, as far as the instrumenter needs it: brackets know their partners, and a token knows whether white space is on
// both sides of it. By .clang-format that tells a comparison from a template's bracket, and a conjunction from a reference.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace octavo::mutation {

struct Token {
  enum class Kind { word, number, text, mark } kind;
  std::size_t begin, end;  ///< in the source
  unsigned line;           ///< from 1
  bool spaced;             ///< white space on both sides
  std::size_t partner;     ///< of a bracket: the index of the other one
};

class Tokens {
 public:
  /// Throws std::runtime_error with the line when brackets do not match. Comments and preprocessor lines are no tokens.
  explicit Tokens(std::string source);

  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  [[nodiscard]] const Token& operator[](std::size_t i) const { return tokens_[i]; }
  [[nodiscard]] std::string_view text(std::size_t i) const { return slice(tokens_[i].begin, tokens_[i].end); }
  [[nodiscard]] bool is(std::size_t i, std::string_view text_) const { return i < size() && text(i) == text_; }
  [[nodiscard]] bool is_word(std::size_t i) const { return i < size() && tokens_[i].kind == Token::Kind::word; }
  [[nodiscard]] bool opens(std::size_t i) const { return is(i, "(") || is(i, "[") || is(i, "{"); }
  /// The index after this token, or after the bracket that closes it.
  [[nodiscard]] std::size_t after(std::size_t i) const { return opens(i) ? tokens_[i].partner + 1 : i + 1; }
  /// What stands between the token before and this one; i may be size().
  [[nodiscard]] std::string gap(std::size_t i) const;
  /// The source of [begin, end), without the gap before.
  [[nodiscard]] std::string source(std::size_t begin, std::size_t end) const;

 private:
  [[nodiscard]] std::string_view slice(std::size_t begin, std::size_t end) const { return std::string_view(source_).substr(begin, end - begin); }
  void match_brackets();

  std::string source_;
  std::vector<Token> tokens_;
};
}  // namespace octavo::mutation
