// SPDX-License-Identifier: Apache-2.0
#include "domain/answer.hpp"

namespace octavo::domain {
namespace {
/// Appends text to a fixed line, padded to a column; what does not fit is cut.
void append(char (&line)[256], usize& used, std::string_view text, usize column) {
  usize width = 0;
  for (; width < text.size() && used < sizeof line; ++width) line[used++] = text[width];
  for (; width < column && used < sizeof line; ++width) line[used++] = ' ';
  if (width >= column && used < sizeof line) line[used++] = ' ';
}
}  // namespace

void Answer::ok(std::string_view command) {
  if (style_ == AnswerStyle::json) format(sink_, "{{\"command\":\"{}\",\"ok\":true", command);
}

void Answer::failed(std::string_view command, std::string_view why) {
  if (style_ == AnswerStyle::text) return format(sink_, "{}: {}\n", command, why);
  sink_.put("{\"command\":\"");
  put_escaped(command);
  sink_.put("\",\"ok\":false,\"error\":\"");
  put_escaped(why);
  sink_.put("\"");
}

void Answer::begin_rows(std::string_view name) {
  if (style_ == AnswerStyle::json) format(sink_, ",\"{}\":[", name);
  first_row_ = true;
  header_done_ = false;
  header_used_ = 0;
}

void Answer::begin_row() {
  if (style_ == AnswerStyle::json) sink_.put(first_row_ ? "{" : ",{");
  first_row_ = false;
  first_field_ = true;
  line_used_ = 0;
}

void Answer::field(std::string_view name, std::string_view value) { cell(name, value, true); }

void Answer::field(std::string_view name, u64 value) {
  char digits[24];
  BufferSink buffer{digits};
  format(buffer, "{}", value);
  cell(name, buffer.view(), false);
}

void Answer::field_hex(std::string_view name, u64 value) {
  char digits[24];
  BufferSink buffer{digits};
  format(buffer, "0x{:x}", value);
  cell(name, buffer.view(), true);
}

void Answer::field_bytes(std::string_view name, u64 value) {
  if (style_ == AnswerStyle::json) return field(name, value);
  char digits[24];
  BufferSink buffer{digits};
  constexpr std::string_view units = "KMGT";
  usize unit = 0;
  u64 scaled = value / 1024;
  while (unit + 1 < units.size() && scaled >= 1024 && scaled % 1024 == 0) {
    scaled /= 1024;
    ++unit;
  }
  format(buffer, "{}{}", scaled, units[unit]);
  cell(name, buffer.view(), false);
}

void Answer::cell(std::string_view name, std::string_view value, bool quoted) {
  if (style_ == AnswerStyle::text) {
    if (!header_done_) append(header_, header_used_, name, k_column);
    return append(line_, line_used_, value, k_column);
  }
  name_json(name);
  if (quoted) sink_.put("\"");
  put_escaped(value);
  if (quoted) sink_.put("\"");
}

void Answer::name_json(std::string_view name) {
  format(sink_, "{}\"{}\":", first_field_ ? "" : ",", name);
  first_field_ = false;
}

void Answer::end_row() {
  if (style_ == AnswerStyle::json) return sink_.put("}");
  if (!header_done_) {
    sink_.put({header_, header_used_});
    sink_.put("\n");
    header_done_ = true;
  }
  sink_.put({line_, line_used_});
  sink_.put("\n");
}

void Answer::end_rows() {
  if (style_ == AnswerStyle::json) sink_.put("]");
}

void Answer::note(std::string_view text) {
  if (style_ == AnswerStyle::text) format(sink_, "{}\n", text);
}

void Answer::finish() {
  if (style_ == AnswerStyle::json) sink_.put("}\n");
}

void Answer::put_escaped(std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') sink_.put("\\");
    if (static_cast<u8>(c) >= 0x20) sink_.put({&c, 1});
    else format(sink_, "\\u{:04x}", static_cast<u8>(c));
  }
}
}  // namespace octavo::domain
