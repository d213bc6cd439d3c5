// SPDX-License-Identifier: Apache-2.0
// What an operator command answers: rows of named fields, rendered as an aligned table for a person or as one JSON object on
// one line for a program. A command is written once, against this class, and does not know who reads it.
#pragma once
#include "lib/format.hpp"

namespace octavo::domain {

enum class AnswerStyle : u8 { text, json };

class Answer {
 public:
  Answer(Sink& sink, AnswerStyle style) : sink_(sink), style_(style) {}
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// The command did what it was asked to, or why not. Called once, before any row.
  void ok(std::string_view command);
  void failed(std::string_view command, std::string_view why);

  /// A table: begin_rows("domains"), then for each row begin_row(), fields, end_row(); end_rows().
  void begin_rows(std::string_view name);
  void begin_row();
  void field(std::string_view name, std::string_view value);
  void field(std::string_view name, const char* value) { field(name, std::string_view{value}); }
  void field(std::string_view name, u64 value);
  /// A number that people read in hexadecimal; JSON has it as a string "0x…".
  void field_hex(std::string_view name, u64 value);
  /// Bytes: people read 512M, JSON has the number.
  void field_bytes(std::string_view name, u64 value);
  void end_row();
  void end_rows();
  /// A line for people; JSON leaves it out.
  void note(std::string_view text);
  /// Ends the answer; nothing may follow.
  void finish();

 private:
  static constexpr usize k_column = 14;
  void name_json(std::string_view name);
  void cell(std::string_view name, std::string_view value, bool quoted);
  void put_escaped(std::string_view text);

  Sink& sink_;
  AnswerStyle style_;
  bool first_field_ = true;
  bool first_row_ = true;
  bool header_done_ = false;
  char header_[256] = {};
  usize header_used_ = 0;
  char line_[256] = {};
  usize line_used_ = 0;
};
}  // namespace octavo::domain
