// SPDX-License-Identifier: Apache-2.0
// What an operator command answers: rows of named fields, rendered as an aligned table for a person or as one JSON object on
// one line for a program. A command is written once, against this class, and does not know who reads it. The JSON is valid
// (RFC 8259, in UTF-8) whatever bytes the values hold; names are the commands' own and need no escapes.
#pragma once
#include <optional>

#include "lib/format.hpp"

namespace octavo::domain {

enum class AnswerStyle : u8 { text, json };

class Answer {
 public:
  /// `id` is the request's own, and comes back in JSON.
  Answer(Sink& sink, AnswerStyle style, std::optional<u64> id = std::nullopt) : sink_(sink), style_(style), id_(id) {}
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// The command did what it was asked to, or why not. One of them is called, once, before anything else.
  void ok(std::string_view command);
  void failed(std::string_view command, std::string_view why);

  /// A table: begin_rows("domains"), then for each row begin_row(), fields, end_row(); end_rows(). Any number of tables, each
  /// with a name of its own; all rows of one have the same fields. `first_column` is a width, for people.
  void begin_rows(std::string_view name, usize first_column = k_column);
  void begin_row();
  void field(std::string_view name, std::string_view value);
  void field(std::string_view name, const char* value) { field(name, std::string_view{value}); }
  void field(std::string_view name, u64 value);
  /// A number that people read in hexadecimal; JSON has it as a string "0x…".
  void field_hex(std::string_view name, u64 value);
  /// Bytes: people read memory 512M, JSON has memory_bytes and the number.
  void field_bytes(std::string_view name, u64 value);
  /// People read yes or no.
  void field_flag(std::string_view name, bool value);
  void end_row();
  void end_rows();
  /// What was done, in a sentence. At most once.
  void message(std::string_view text);
  /// A line for who sits at the prompt; JSON leaves it out.
  void note(std::string_view text);
  /// Ends the answer; nothing may follow.
  void finish();

 private:
  static constexpr usize k_column = 14;
  /// A line of a table; what does not fit is cut.
  struct Line {
    char text[256] = {};
    usize used = 0;
    void append(std::string_view cell, usize column);
  };
  void begin(std::string_view command, bool ok);
  void cell(std::string_view name, std::string_view suffix, std::string_view value, bool quoted);
  void put_escaped(std::string_view text);
  [[nodiscard]] bool is_json() const { return style_ == AnswerStyle::json; }

  Sink& sink_;
  AnswerStyle style_;
  std::optional<u64> id_;
  bool first_field_ = true;
  bool first_row_ = true;
  usize first_column_ = k_column;
  Line header_, line_;
};
}  // namespace octavo::domain
