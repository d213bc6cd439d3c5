// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/connect/table.hpp"

#include <catch2/catch.hpp>

using namespace octavo::tool;
using Json = nlohmann::ordered_json;

TEST_CASE("table: columns from the rows in their order, numbers to the right, bytes with a unit") {
  const Json answer = Json::parse(R"({"id":1,"command":"list","ok":true,"domains":[
      {"name":"web","id":1,"memory_bytes":536870912,"clean":true},
      {"name":"a-long-name","id":12,"memory_bytes":100,"clean":false}]})");
  CHECK(answer_table(answer, Colours::no) ==
        "name         id  memory  clean\n"
        "web           1    512M  yes\n"
        "a-long-name  12     100  no\n");
  CHECK(answer_table(answer, Colours::yes).find("\033[1mname") == 0);
}

TEST_CASE("table: several tables, a message, nothing") {
  CHECK(answer_table(Json::parse(R"({"ok":true,"message":"web: paused"})"), Colours::no) == "web: paused\n");
  CHECK(answer_table(Json::parse(R"({"ok":true,"a":[{"x_y":1}],"empty":[],"b":[{"z":"1"}],"message":"m"})"), Colours::no) == "m\n\nx-y\n  1\n\nz\n1\n");
  CHECK(answer_table(Json::parse(R"({"ok":true,"domains":[]})"), Colours::no) == "");
}

TEST_CASE("table: rows of different columns, odd values, bytes that a terminal would obey") {
  CHECK(answer_table(Json::parse(R"({"r":[{"a":1},{"b":"x"}]})"), Colours::no) == "a  b\n1  -\n-  x\n");
  CHECK(answer_table(Json::parse(R"({"r":[{"a":null,"b":[1,2],"c":-1.5}]})"), Colours::no) == "a     b         c\nnull  [1,2]  -1.5\n");
  CHECK(answer_table(Json::parse(R"({"r":[{"a":"\u001b[31m\n"}]})"), Colours::no) == "a\n?[31m?\n");
  CHECK(answer_table(Json::parse(R"({"r":[1,2],"s":["x"],"t":[{}],"u":{"a":1}})"), Colours::no) == "");
  CHECK(answer_table(Json::parse(R"({"r":[{"n":"é"},{"n":"ab"}]})"), Colours::no) == "n\né\nab\n");
}
