// SPDX-License-Identifier: Apache-2.0
#include "domain/answer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace octavo;
using domain::Answer;
using domain::AnswerStyle;

namespace {
class TextSink final : public Sink {
 public:
  std::string text;
  void put(std::string_view piece) override { text += piece; }
};

std::string rendered(AnswerStyle style, const std::function<void(Answer&)>& say, std::optional<u64> id = std::nullopt) {
  TextSink sink;
  Answer answer{sink, style, id};
  say(answer);
  answer.finish();
  return sink.text;
}

void two_tables(Answer& answer) {
  answer.ok("show");
  answer.note("for people");
  answer.begin_rows("first", 5);
  for (const u64 n : {u64{7}, ~u64{0}}) {
    answer.begin_row();
    answer.field("n", n);
    answer.field_hex("hex", n);
    answer.field("text", "a \"b\"");
    answer.end_row();
  }
  answer.end_rows();
  answer.note("more for people");
  answer.begin_rows("empty");
  answer.end_rows();
  answer.begin_rows("second");
  answer.begin_row();
  answer.field_bytes("size", u64{512} << 20);
  answer.field_flag("good", true);
  answer.end_row();
  answer.end_rows();
  answer.message("done");
}
}  // namespace

TEST_CASE("Answer: JSON has every table, number and flag in its own type") {
  const std::string text = rendered(AnswerStyle::json, two_tables, 42);
  CHECK(text.find('\n') == text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  CHECK(json == nlohmann::json::parse(R"({"id":42,"command":"show","ok":true,
      "first":[{"n":7,"hex":"0x7","text":"a \"b\""},{"n":18446744073709551615,"hex":"0xffffffffffffffff","text":"a \"b\""}],
      "empty":[],"second":[{"size_bytes":536870912,"good":true}],"message":"done"})"));
}

TEST_CASE("Answer: people get aligned tables, each with its own header, and the notes") {
  CHECK(rendered(AnswerStyle::text, two_tables) ==
        "for people\n"
        "n     hex            text           \n"
        "7     0x7            a \"b\"          \n"
        "18446744073709551615 0xffffffffffffffff a \"b\"          \n"
        "more for people\n"
        "size           good           \n"
        "512M           yes            \n"
        "done\n");
}

TEST_CASE("Answer: a failure is one object too") {
  const auto say = [](Answer& answer) { answer.failed("no\"such", "why\\not\n"); };
  const auto json = nlohmann::json::parse(rendered(AnswerStyle::json, say));
  CHECK(json == nlohmann::json{{"command", "no\"such"}, {"ok", false}, {"error", "why\\not\n"}});
  CHECK(rendered(AnswerStyle::text, say) == "no\"such: why\\not\n\n");
}

TEST_CASE("Answer: whatever bytes a value holds, the JSON is valid, and well-formed UTF-8 arrives as it was") {
  const auto round_trip = [](const std::string& value) {
    const std::string text = rendered(AnswerStyle::json, [&](Answer& answer) { answer.failed("x", value); });
    INFO(text);
    return nlohmann::json::parse(text)["error"].get<std::string>();
  };
  for (int byte = 0; byte < 0x80; ++byte) {
    const std::string value{'a', static_cast<char>(byte), 'b'};
    CHECK(round_trip(value) == value);
  }
  for (const std::string value : {"é", "€", "\U0001F600", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "\xE0\xA0\x80", "\xF0\x90\x80\x80"}) CHECK(round_trip(value) == value);
  const std::string bad = "\xEF\xBF\xBD";  // U+FFFD
  for (int byte = 0x80; byte < 0x100; ++byte) CHECK(round_trip({static_cast<char>(byte), 'x'}) == bad + "x");
  CHECK(round_trip("\xC0\x80") == bad + bad);              // longer than needed
  CHECK(round_trip("\xE0\x9F\xBF") == bad + bad + bad);
  CHECK(round_trip("\xF0\x8F\xBF\xBF") == bad + bad + bad + bad);
  CHECK(round_trip("\xED\xA0\x80") == bad + bad + bad);    // a surrogate
  CHECK(round_trip("\xF4\x90\x80\x80") == bad + bad + bad + bad);  // above U+10FFFF
  CHECK(round_trip("\xE2\x82") == bad + bad);              // cut
  CHECK(round_trip("\xE2\x82" "a") == bad + bad + "a");
}

TEST_CASE("Answer: a line of a table that is too long is cut, not overrun") {
  const std::string text = rendered(AnswerStyle::text, [](Answer& answer) {
    answer.ok("x");
    answer.begin_rows("rows");
    answer.begin_row();
    for (int i = 0; i < 40; ++i) answer.field("name", std::string(20, 'v'));
    answer.end_row();
    answer.end_rows();
  });
  CHECK(text.size() == 2 * 257);
}
