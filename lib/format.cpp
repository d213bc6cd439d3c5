// SPDX-License-Identifier: Apache-2.0
#include "lib/format.hpp"

namespace octavo::detail {
namespace {

struct Spec {
  bool hexadecimal = false;
  bool zero_padded = false;
  bool left = false;
  usize width = 0;
};

Spec parse_spec(std::string_view text) {
  Spec spec;
  for (const char c : text) {
    if (c == ':' || c == '>') continue;
    if (c == '<') spec.left = true;
    else if (c == 'x') spec.hexadecimal = true;
    else if (c == '0' && spec.width == 0) spec.zero_padded = true;
    else if (c >= '0' && c <= '9') spec.width = spec.width * 10 + static_cast<usize>(c - '0');
  }
  return spec;
}

void put_padded(Sink& sink, std::string_view text, const Spec& spec, bool is_number) {
  const std::string_view fill = spec.zero_padded && is_number ? "0" : " ";
  const usize missing = spec.width > text.size() ? spec.width - text.size() : 0;
  if (!spec.left) for (usize i = 0; i < missing; ++i) sink.put(fill);
  sink.put(text);
  if (spec.left) for (usize i = 0; i < missing; ++i) sink.put(" ");
}

void put_argument(Sink& sink, const FormatArgument& argument, const Spec& spec) {
  using Kind = FormatArgument::Kind;
  if (argument.kind == Kind::text) return put_padded(sink, argument.text, spec, false);
  if (argument.kind == Kind::character) {
    const char c = static_cast<char>(argument.number);
    return put_padded(sink, {&c, 1}, spec, false);
  }
  char digits[24];
  usize at = sizeof digits;
  u64 value = argument.number;
  const bool negative = argument.kind == Kind::signed_number && static_cast<i64>(value) < 0 && !spec.hexadecimal;
  if (negative) value = ~value + 1;
  const u64 base = spec.hexadecimal ? 16 : 10;
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  if (negative) digits[--at] = '-';
  put_padded(sink, {digits + at, sizeof digits - at}, spec, true);
}
}  // namespace

void format_arguments(Sink& sink, std::string_view pattern, std::span<const FormatArgument> arguments) {
  usize next = 0;
  while (!pattern.empty()) {
    const usize hole = pattern.find_first_of("{}");
    if (hole == std::string_view::npos) return sink.put(pattern);
    if (hole > 0) sink.put(pattern.substr(0, hole));
    const char brace = pattern[hole];
    pattern.remove_prefix(hole + 1);
    if (!pattern.empty() && pattern[0] == brace) {  // {{ and }} stand for themselves
      sink.put({&brace, 1});
      pattern.remove_prefix(1);
      continue;
    }
    if (brace == '}') continue;
    const usize end = pattern.find('}');
    if (end == std::string_view::npos) return;
    if (next < arguments.size()) put_argument(sink, arguments[next++], parse_spec(pattern.substr(0, end)));
    pattern.remove_prefix(end + 1);
  }
}
}  // namespace octavo::detail
