// SPDX-License-Identifier: Apache-2.0
// The state of instrument(): a recursive descent over tokens that writes what it reads, with questions in between. Ranges of tokens are
// [begin, end); what is written for a range does not include the gap before it.
#pragma once
#include <stdexcept>

#include "tests/mutation/instrument.hpp"

namespace octavo::mutation {

class Rewriter {
 public:
  Rewriter(const std::string& file, Tokens tokens, int first_id) : file_(file), tokens_(std::move(tokens)), next_id_(first_id) {}
  [[nodiscard]] Instrumented result() {
    std::string text = declarations(0, tokens_.size(), "") + tokens_.gap(tokens_.size());
    return {std::move(text), std::move(sites_)};
  }

 private:
  // Statements: instrument.cpp
  std::string declarations(std::size_t begin, std::size_t end, const std::string& outer);
  std::string declaration(std::size_t& i, std::size_t end, const std::string& outer);
  [[nodiscard]] std::string function_name(std::size_t parenthesis, const std::string& outer) const;
  std::string block(std::size_t begin, std::size_t end);
  std::string statement(std::size_t& i);
  std::string controlled(std::size_t& i);
  std::string loop_head(std::size_t begin, std::size_t end);

  // Expressions: expression.cpp
  std::string condition(std::size_t begin, std::size_t end, bool may_declare);
  std::string expression(std::size_t begin, std::size_t end);
  std::string split(std::size_t begin, std::size_t end, std::size_t at);
  std::string choice(std::size_t begin, std::size_t end, std::size_t question);
  std::string operands(std::size_t begin, std::size_t end, std::string_view mark);
  std::string comparison(std::size_t begin, std::size_t end, std::size_t at);
  std::string primary(std::size_t begin, std::size_t end);
  std::string lambda(std::size_t& i);
  [[nodiscard]] std::size_t find(std::size_t begin, std::size_t end, std::string_view mark) const;
  [[nodiscard]] std::size_t find_operator(std::size_t begin, std::size_t end, std::initializer_list<std::string_view> marks) const;
  [[nodiscard]] bool is_declaration(std::size_t begin, std::size_t end) const;

  /// Notes a mutant and returns the question for it.
  std::string mutant(std::size_t token, std::string what);

  std::string file_;
  Tokens tokens_;
  int next_id_;
  std::string function_;
  std::vector<Site> sites_;
};
}  // namespace octavo::mutation
