// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/parse/demangle.hpp"

#include <optional>

namespace octavo::arch {
namespace {
/// <source-name> ::= <length> <identifier>; taken off the front of text.
std::optional<std::string_view> take_name(std::string_view& text) {
  usize length = 0, digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && length < 1000) {
    length = length * 10 + static_cast<usize>(text[digits++] - '0');
  }
  if (digits == 0 || length == 0 || length > text.size() - digits) return std::nullopt;
  const std::string_view name = text.substr(digits, length);
  text.remove_prefix(digits + length);
  return name;
}

void put_name(Sink& sink, std::string_view name) {
  sink.put(name.starts_with("_GLOBAL__N") ? "(anonymous)" : name);
}

/// The parts of a <nested-name>, up to its E. With no sink it only checks. Returns whether all of it was understood.
bool nested_name(std::string_view text, Sink* sink) {
  for (const char qualifier : {'r', 'V', 'K', 'R', 'O'}) {
    if (text.starts_with(qualifier)) text.remove_prefix(1);
  }
  std::string_view last;
  bool first = true;
  while (!text.empty() && text[0] != 'E') {
    if (text[0] == 'L') { text.remove_prefix(1); continue; }  // internal linkage
    if (text[0] == 'I') {                                      // template arguments: not shown
      if (sink != nullptr) sink->put("<>");
      return !first;
    }
    std::string_view part;
    bool destructor = false;
    if (text.starts_with("St")) {
      part = "std";
      text.remove_prefix(2);
    } else if (!first && (text.starts_with("C1") || text.starts_with("C2") || text.starts_with("D0") || text.starts_with("D1") || text.starts_with("D2"))) {
      part = last;
      destructor = text[0] == 'D';
      text.remove_prefix(2);
    } else if (const auto name = take_name(text)) {
      part = *name;
    } else {
      return false;
    }
    if (sink != nullptr) {
      if (!first) sink->put("::");
      if (destructor) sink->put("~");
      put_name(*sink, part);
    }
    last = part;
    first = false;
  }
  return !first && !text.empty();
}
}  // namespace

void demangle(Sink& sink, std::string_view mangled) {
  std::string_view rest = mangled;
  if (!rest.starts_with("_Z")) return sink.put(mangled);
  rest.remove_prefix(2);
  if (rest.starts_with('N') && nested_name(rest.substr(1), nullptr)) {
    nested_name(rest.substr(1), &sink);
    return;
  }
  if (rest.starts_with('L')) rest.remove_prefix(1);
  if (const auto name = take_name(rest)) return put_name(sink, *name);
  sink.put(mangled);
}
}  // namespace octavo::arch
