// SPDX-License-Identifier: Apache-2.0
#include "domain/answer.hpp"

#include <algorithm>

namespace octavo::domain {
namespace {
/// Of the well-formed UTF-8 sequence at the front of `text`, which is not empty; 0 if there is none (RFC 3629, section 4).
usize utf8_length(std::string_view text) {
  const auto byte = [&text](usize i) { return static_cast<u8>(text[i]); };
  const u8 lead = byte(0);
  if (lead < 0x80) return 1;
  const usize length = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  // Not longer than needed, no surrogates, nothing above U+10FFFF: the lead decides what the second byte may be.
  const u8 least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const u8 most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (usize i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}
}  // namespace

void Answer::Line::append(std::string_view cell, usize column) {
  const auto put = [this](char c) {
    if (used < sizeof text) text[used++] = c;
  };
  for (const char c : cell) put(c);
  for (usize width = cell.size(); width < column; ++width) put(' ');
  put(' ');
}

void Answer::begin(std::string_view command, bool ok) {
  sink_.put("{");
  if (id_) format(sink_, "\"id\":{},", *id_);
  sink_.put("\"command\":\"");
  put_escaped(command);
  sink_.put(ok ? "\",\"ok\":true" : "\",\"ok\":false");
}

void Answer::ok(std::string_view command) {
  if (is_json()) begin(command, true);
}

void Answer::failed(std::string_view command, std::string_view why) {
  if (!is_json()) return format(sink_, "{}: {}\n", command, why);
  begin(command, false);
  sink_.put(",\"error\":\"");
  put_escaped(why);
  sink_.put("\"");
}

void Answer::begin_rows(std::string_view name, usize first_column) {
  if (is_json()) format(sink_, ",\"{}\":[", name);
  first_row_ = true;
  first_column_ = first_column;
  header_.used = 0;
}

void Answer::begin_row() {
  if (is_json()) sink_.put(first_row_ ? "{" : ",{");
  first_field_ = true;
  line_.used = 0;
}

void Answer::field(std::string_view name, std::string_view value) { cell(name, "", value, true); }

void Answer::field(std::string_view name, u64 value) {
  char digits[24];
  BufferSink buffer{digits};
  format(buffer, "{}", value);
  cell(name, "", buffer.view(), false);
}

void Answer::field_hex(std::string_view name, u64 value) {
  char digits[24];
  BufferSink buffer{digits};
  format(buffer, "0x{:x}", value);
  cell(name, "", buffer.view(), true);
}

void Answer::field_bytes(std::string_view name, u64 value) {
  char digits[24];
  BufferSink buffer{digits};
  if (is_json()) {
    format(buffer, "{}", value);
    return cell(name, "_bytes", buffer.view(), false);
  }
  constexpr std::string_view units = "KMGT";
  usize unit = 0;
  u64 scaled = value / 1024;
  while (unit + 1 < units.size() && scaled >= 1024 && scaled % 1024 == 0) {
    scaled /= 1024;
    ++unit;
  }
  format(buffer, "{}{}", scaled, units[unit]);
  cell(name, "", buffer.view(), false);
}

void Answer::field_flag(std::string_view name, bool value) {
  if (is_json()) cell(name, "", value ? "true" : "false", false);
  else cell(name, "", value ? "yes" : "no", false);
}

void Answer::cell(std::string_view name, std::string_view suffix, std::string_view value, bool quoted) {
  const usize column = first_field_ ? first_column_ : k_column;
  if (is_json()) {
    format(sink_, "{}\"{}{}\":{}", first_field_ ? "" : ",", name, suffix, quoted ? "\"" : "");
    put_escaped(value);
    if (quoted) sink_.put("\"");
  } else {
    if (first_row_) header_.append(name, column);
    line_.append(value, column);
  }
  first_field_ = false;
}

void Answer::end_row() {
  if (is_json()) sink_.put("}");
  else if (first_row_) format(sink_, "{}\n{}\n", std::string_view{header_.text, header_.used}, std::string_view{line_.text, line_.used});
  else format(sink_, "{}\n", std::string_view{line_.text, line_.used});
  first_row_ = false;
}

void Answer::end_rows() {
  if (is_json()) sink_.put("]");
}

void Answer::message(std::string_view text) {
  if (!is_json()) return format(sink_, "{}\n", text);
  sink_.put(",\"message\":\"");
  put_escaped(text);
  sink_.put("\"");
}

void Answer::note(std::string_view text) {
  if (!is_json()) format(sink_, "{}\n", text);
}

void Answer::finish() {
  if (is_json()) sink_.put("}\n");
}

void Answer::put_escaped(std::string_view text) {
  while (!text.empty()) {
    const u8 byte = static_cast<u8>(text.front());
    const usize length = utf8_length(text);
    if (length == 0) sink_.put("\\ufffd");
    else if (byte < 0x20 || byte == 0x7F) format(sink_, "\\u{:04x}", byte);
    else if (byte == '"' || byte == '\\') format(sink_, "\\{}", text.front());
    else sink_.put(text.substr(0, length));
    text.remove_prefix(std::max(length, usize{1}));
  }
}
}  // namespace octavo::domain
