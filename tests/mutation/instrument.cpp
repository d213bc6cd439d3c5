// SPDX-License-Identifier: Apache-2.0
// Declarations and statements; what is inside of an expression is in expression.cpp.
#include "tests/mutation/instrument.hpp"

#include "tests/mutation/rewriter.hpp"

namespace octavo::mutation {
namespace {
/// After `template <...>` at i, or i.
std::size_t after_template(const Tokens& tokens, std::size_t i) {
  if (!tokens.is(i, "template")) return i;
  int depth = 0;
  for (++i; i < tokens.size(); i = tokens.after(i)) {
    if (tokens.is(i, "<")) ++depth;
    if (tokens.is(i, ">")) --depth;
    if (tokens.is(i, ">>")) depth -= 2;
    if (depth <= 0) return i + 1;
  }
  return i;
}
}  // namespace

/// The name before a function's parameter list.
std::string Rewriter::function_name(std::size_t parenthesis, const std::string& outer) const {
  std::size_t first = parenthesis;
  if (first >= 2 && tokens_.is(first - 2, "operator")) first -= 2;
  else if (first >= 3 && tokens_.is(first - 3, "operator")) first -= 3;  // operator[]
  else if (first >= 1) --first;
  const bool destructor = first >= 1 && tokens_.is(first - 1, "~");
  if (destructor) --first;
  while (first >= 2 && tokens_.is(first - 1, "::") && tokens_.is_word(first - 2)) first -= 2;
  std::string name;
  for (std::size_t i = first; i < parenthesis; ++i) name += (name.ends_with("operator") && tokens_.is_word(i) ? " " : "") + std::string(tokens_.text(i));
  return outer.empty() || name.find("::") != std::string::npos ? name : outer + "::" + name;
}

/// A namespace's or a class's declarations, [begin, end).
std::string Rewriter::declarations(std::size_t begin, std::size_t end, const std::string& outer) {
  std::string out;
  for (std::size_t i = begin; i < end;) out += declaration(i, end, outer);
  return out;
}

std::string Rewriter::declaration(std::size_t& i, std::size_t end, const std::string& outer) {
  const std::size_t first = i;
  const std::string before = tokens_.gap(first);
  const auto verbatim = [&](std::size_t to) { return before + tokens_.source(first, to); };
  constexpr std::size_t k_none = ~std::size_t{0};
  std::size_t parameters = k_none, class_word = k_none;
  bool assigned = false, is_enum = false, initializers = false;
  for (i = after_template(tokens_, i); i < end; i = tokens_.after(i)) {
    if (tokens_.is(i, ";")) return verbatim(++i);
    if (tokens_.is(i, ":") && (tokens_.is(i - 1, "public") || tokens_.is(i - 1, "private") || tokens_.is(i - 1, "protected"))) return verbatim(++i);
    if (tokens_.is(i, ":") && parameters != k_none) initializers = true;
    if (tokens_.is(i, "enum")) is_enum = true;
    if (class_word == k_none && (tokens_.is(i, "namespace") || tokens_.is(i, "class") || tokens_.is(i, "struct"))) class_word = i;
    if (tokens_.is(i, "=") && !tokens_.is(i - 1, "operator")) assigned = true;
    if (tokens_.is(i, "(") && parameters == k_none && !assigned && class_word == k_none && !tokens_.is(i - 1, "requires") && !tokens_.is(i - 1, "&&")) parameters = i;
    if (!tokens_.is(i, "{")) continue;
    const std::size_t close = tokens_[i].partner;
    if (is_enum || (class_word == k_none && (assigned || parameters == k_none))) continue;
    if (class_word == k_none && initializers && tokens_.is_word(i - 1) && (tokens_.is(close + 1, ",") || tokens_.is(close + 1, "{"))) continue;
    std::string inside;
    if (class_word != k_none) {
      // Its name is the last word before a base list or the brace.
      std::size_t name = class_word;
      for (std::size_t at = class_word + 1; at < i && !tokens_.is(at, ":"); at = tokens_.after(at)) {
        if (tokens_.is_word(at) && !tokens_.is(at, "final") && !tokens_.is(at, "alignas")) name = at;
      }
      inside = declarations(i + 1, close, tokens_.is(class_word, "namespace") ? "" : std::string(tokens_.text(name)));
    } else {
      function_ = function_name(parameters, outer);
      inside = block(i + 1, close);
    }
    std::string out = verbatim(i + 1) + inside + tokens_.gap(close) + "}";
    i = close + 1;
    return out;
  }
  return verbatim(end);
}

std::string Rewriter::block(std::size_t begin, std::size_t end) {
  std::string out;
  for (std::size_t i = begin; i < end;) out += statement(i);
  return out;
}

/// The statement at i, with the gap before it; i is behind it afterwards.
std::string Rewriter::statement(std::size_t& i) {
  std::string out = tokens_.gap(i);
  const std::size_t first = i;
  const auto is = [&](std::string_view text) { return tokens_.is(first, text); };
  const auto up_to_semicolon = [&] {
    while (!tokens_.is(i, ";")) i = tokens_.after(i);
    return i++;
  };
  if (is("{")) {
    const std::size_t close = tokens_[i].partner;
    i = close + 1;
    return out + "{" + block(first + 1, close) + tokens_.gap(close) + "}";
  }
  if (is("[") && tokens_.is(i + 1, "[")) {  // an attribute
    i = tokens_.after(i);
    out += tokens_.source(first, i);
    return out + statement(i);
  }
  if (is("else") || is("do")) {
    ++i;
    out += tokens_.text(first);
    return out + statement(i);
  }
  if (is("if") || is("while") || is("for") || is("switch")) return out + controlled(i);
  if (is("case") || is("default")) {
    while (!tokens_.is(i, ":")) ++i;
    ++i;
    return out + tokens_.source(first, i);
  }
  static const std::string_view k_untouched[] = {";", "using", "static_assert", "typedef", "constexpr", "static", "struct", "class", "enum"};
  for (const std::string_view word : k_untouched) {
    if (is(word)) return out + tokens_.source(first, up_to_semicolon() + 1);
  }
  if (is("return") && !tokens_.is(i + 1, ";")) {
    ++i;
    const std::size_t end = up_to_semicolon();
    return out + "return" + tokens_.gap(first + 1) + expression(first + 1, end) + ";";
  }
  const std::size_t end = up_to_semicolon();
  if (is_declaration(first, end)) return out + expression(first, end) + ";";
  const std::string test = mutant(first, "removed: `" + tokens_.source(first, end) + ";`");
  return out + "{ if (!" + test + ") { " + expression(first, end) + "; } }";
}

/// if, while, for or switch, up to the statement that it controls (and an else, which is a statement of its own here).
std::string Rewriter::controlled(std::size_t& i) {
  const std::size_t word = i;
  std::size_t open = i + 1;
  const bool at_compile_time = tokens_.is(open, "constexpr");
  if (at_compile_time) ++open;
  const std::size_t close = tokens_[open].partner;
  i = close + 1;
  std::string head = tokens_.source(word, open + 1) + tokens_.gap(open + 1);
  if (at_compile_time) {
    head += tokens_.source(open + 1, close);
  } else if (tokens_.is(word, "for")) {
    head += loop_head(open + 1, close);
  } else if (tokens_.is(word, "switch")) {
    head += expression(open + 1, close);
  } else {
    const std::size_t semicolon = find(open + 1, close, ";");
    if (semicolon != close) head += expression(open + 1, semicolon) + ";" + tokens_.gap(semicolon + 1);
    head += condition(semicolon != close ? semicolon + 1 : open + 1, close, tokens_.is(word, "if"));
  }
  head += tokens_.gap(close) + ")";
  if (tokens_.is(i, ";")) {  // the end of a do loop
    ++i;
    return head + ";";
  }
  return head + statement(i);
}

std::string Rewriter::loop_head(std::size_t begin, std::size_t end) {
  const std::size_t semicolon = find(begin, end, ";");
  if (semicolon == end) {  // for each
    const std::size_t colon = find(begin, end, ":");
    return tokens_.source(begin, colon + 1) + tokens_.gap(colon + 1) + expression(colon + 1, end);
  }
  const std::size_t second = find(semicolon + 1, end, ";");
  std::string out = expression(begin, semicolon) + ";";
  if (second > semicolon + 1) out += tokens_.gap(semicolon + 1) + condition(semicolon + 1, second, false);
  return out + ";" + (second + 1 < end ? tokens_.gap(second + 1) + expression(second + 1, end) : std::string());
}

Instrumented instrument(const std::string& file, std::string source, int first_id) {
  try {
    return Rewriter(file, Tokens(std::move(source)), first_id).result();
  } catch (const std::exception& error) {
    throw std::runtime_error(file + ": " + error.what());
  }
}
}  // namespace octavo::mutation
