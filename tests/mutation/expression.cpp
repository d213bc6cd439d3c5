// SPDX-License-Identifier: Apache-2.0
// Expressions, from the operators that bind least to those that bind most. A binary operator has white space on both sides.
#include <algorithm>

#include "tests/mutation/rewriter.hpp"

namespace octavo::mutation {
namespace {
std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (!space) out += c;
    else if (!out.ends_with(' ')) out += ' ';
  }
  return out;
}
}  // namespace

std::string Rewriter::mutant(std::size_t token, std::string what) {
  Site site{next_id_++, file_, tokens_[token].line, function_, on_one_line(what)};
  const auto same = std::ranges::count_if(sites_, [&](const Site& other) {
    return other.function == site.function && (other.what == site.what || other.what.starts_with(site.what + " #"));
  });
  if (same > 0) site.what += " #" + std::to_string(same + 1);
  sites_.push_back(site);
  return "octavo_mutant(" + std::to_string(site.id) + ")";
}

std::size_t Rewriter::find(std::size_t begin, std::size_t end, std::string_view mark) const {
  std::size_t i = begin;
  while (i < end && !tokens_.is(i, mark)) i = tokens_.after(i);
  return std::min(i, end);
}

/// The last of these operators outside of brackets, or end.
std::size_t Rewriter::find_operator(std::size_t begin, std::size_t end, std::initializer_list<std::string_view> marks) const {
  std::size_t found = end;
  for (std::size_t i = begin; i < end; i = tokens_.after(i)) {
    if (tokens_[i].spaced && std::ranges::find(marks, tokens_.text(i)) != marks.end()) found = i;
  }
  return found;
}

/// Does a statement begin with a type and a name?
bool Rewriter::is_declaration(std::size_t begin, std::size_t end) const {
  static const std::string_view k_types[] = {"const", "auto", "bool", "int", "unsigned", "char", "thread_local"};
  if (std::ranges::find(k_types, tokens_.text(begin)) != std::end(k_types)) return true;
  std::size_t i = begin;
  if (tokens_.is(i, "::")) ++i;
  while (tokens_.is_word(i) && i < end) {
    ++i;
    if (tokens_.is(i, "<") && !tokens_[i].spaced) {
      for (int depth = 0; i < end; i = tokens_.after(i)) {
        depth += tokens_.is(i, "<") ? 1 : tokens_.is(i, ">") ? -1 : tokens_.is(i, ">>") ? -2 : 0;
        if (depth <= 0) break;
      }
      ++i;
    }
    if (!tokens_.is(i, "::")) break;
    ++i;
  }
  if (i == begin) return false;
  while ((tokens_.is(i, "&") || tokens_.is(i, "*") || tokens_.is(i, "&&")) && !tokens_[i].spaced) ++i;
  return i < end && tokens_.is_word(i);
}

std::string Rewriter::condition(std::size_t begin, std::size_t end, bool may_declare) {
  if (is_declaration(begin, end) && find(begin, end, "=") != end) {
    if (!may_declare) return expression(begin, end);
    const std::size_t name = find(begin, end, "=") - 1;
    const std::string test = mutant(begin, "condition is negated: `" + tokens_.source(begin, end) + "`");
    return expression(begin, end) + "; " + test + " != static_cast<bool>(" + std::string(tokens_.text(name)) + ")";
  }
  const bool has_mutants_of_its_own = find_operator(begin, end, {"||", "&&", "==", "!=", "<", "<=", ">", ">="}) != end;
  if (has_mutants_of_its_own || tokens_.is(begin, "true")) return expression(begin, end);
  const std::string test = mutant(begin, "condition is negated: `" + tokens_.source(begin, end) + "`");
  return test + " != static_cast<bool>(" + expression(begin, end) + ")";
}

/// Two expressions around a token that stays as it is.
std::string Rewriter::split(std::size_t begin, std::size_t end, std::size_t at) {
  std::string out = expression(begin, at) + tokens_.gap(at) + std::string(tokens_.text(at));
  return at + 1 < end ? out + tokens_.gap(at + 1) + expression(at + 1, end) : out;
}

std::string Rewriter::expression(std::size_t begin, std::size_t end) {
  if (begin >= end) return {};
  if (const std::size_t comma = find(begin, end, ","); comma != end) return split(begin, end, comma);
  for (std::size_t i = begin; i < end; i = tokens_.after(i)) {
    if (!tokens_[i].spaced) continue;
    if (tokens_.is(i, "?")) return choice(begin, end, i);
    const std::string_view text = tokens_.text(i);
    const bool compares = text == "==" || text == "!=" || text == "<=" || text == ">=";
    if (text.ends_with("=") && !compares) return split(begin, end, i);
  }
  for (const std::string_view mark : {"||", "&&"}) {
    if (find_operator(begin, end, {mark}) != end) return operands(begin, end, mark);
  }
  for (const std::string_view mark : {"|", "^", "&"}) {
    if (const std::size_t at = find_operator(begin, end, {mark}); at != end) return split(begin, end, at);
  }
  if (const std::size_t at = find_operator(begin, end, {"==", "!="}); at != end) return comparison(begin, end, at);
  if (const std::size_t at = find_operator(begin, end, {"<", "<=", ">", ">="}); at != end) return comparison(begin, end, at);
  return primary(begin, end);
}

std::string Rewriter::choice(std::size_t begin, std::size_t end, std::size_t question) {
  std::size_t colon = question + 1;
  for (int depth = 0; colon < end; colon = tokens_.after(colon)) {
    if (tokens_.is(colon, "?")) ++depth;
    if (tokens_.is(colon, ":") && depth-- == 0) break;
  }
  if (colon >= end) throw std::runtime_error("line " + std::to_string(tokens_[question].line) + ": a ? without its :");
  return condition(begin, question, false) + tokens_.gap(question) + "?" + tokens_.gap(question + 1) + expression(question + 1, colon) +
         tokens_.gap(colon) + ":" + tokens_.gap(colon + 1) + expression(colon + 1, end);
}

/// Each operand of a conjunction becomes true, each of a disjunction false.
std::string Rewriter::operands(std::size_t begin, std::size_t end, std::string_view mark) {
  const bool all = mark == "&&";
  std::string out;
  while (true) {
    std::size_t at = begin;
    while (at < end && !(tokens_[at].spaced && tokens_.is(at, mark))) at = tokens_.after(at);
    const std::string test = mutant(begin, std::string(all ? "true" : "false") + " instead of operand `" + tokens_.source(begin, at) + "`");
    out += (all ? "(" + test + " || (" : "(!" + test + " && (") + expression(begin, at) + "))";
    if (at >= end) return out;
    out += tokens_.gap(at) + std::string(mark) + tokens_.gap(at + 1);
    begin = at + 1;
  }
}

std::string Rewriter::comparison(std::size_t begin, std::size_t end, std::size_t at) {
  const std::string mark(tokens_.text(at));
  const std::string shown = "`" + tokens_.source(begin, end) + "`";
  const std::string negated = mutant(begin, "negated: " + shown);
  const bool equality = mark == "==" || mark == "!=";
  std::string touched;
  const std::string other = mark.ends_with("=") ? mark.substr(0, 1) : mark + "=";
  if (!equality) touched = mutant(begin, mark + " becomes " + other + ": " + shown);
  const std::string left = expression(begin, at);
  const std::string right = expression(at + 1, end);
  const std::string plain = left + tokens_.gap(at) + mark + tokens_.gap(at + 1) + right;
  if (equality) return "(" + negated + " != (" + plain + "))";
  return "(" + negated + " != (" + touched + " ? (" + left + ") " + other + " (" + right + ") : (" + plain + ")))";
}

std::string Rewriter::primary(std::size_t begin, std::size_t end) {
  std::string out;
  for (std::size_t i = begin; i < end;) {
    if (i > begin) out += tokens_.gap(i);
    if (!tokens_.opens(i)) {
      out += tokens_.text(i++);
      continue;
    }
    const bool subscript = i > begin && (tokens_.is_word(i - 1) || tokens_.is(i - 1, ")") || tokens_.is(i - 1, "]")) && !tokens_.is(i - 1, "return");
    if (tokens_.is(i, "[") && !subscript) {
      out += lambda(i);
      continue;
    }
    const std::size_t close = tokens_[i].partner;
    out += std::string(tokens_.text(i)) + (i + 1 < close ? tokens_.gap(i + 1) : "") + expression(i + 1, close) + tokens_.gap(close) + std::string(tokens_.text(close));
    i = close + 1;
  }
  return out;
}

/// [captures](parameters) specifiers { body }
std::string Rewriter::lambda(std::size_t& i) {
  const std::size_t first = i;
  while (!tokens_.is(i, "{")) i = tokens_.after(i);
  const std::size_t close = tokens_[i].partner;
  std::string out = tokens_.source(first, i + 1) + block(i + 1, close) + tokens_.gap(close) + "}";
  i = close + 1;
  return out;
}
}  // namespace octavo::mutation
