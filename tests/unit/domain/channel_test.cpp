// SPDX-License-Identifier: Apache-2.0
#include "domain/channel.hpp"

#include "tests/model/channel_line.hpp"
#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using domain::Channel;
using test::Rig;
using Json = nlohmann::json;

namespace {
struct ChannelRig : Rig {
  std::vector<char> room = std::vector<char>(16 * 1024);
  std::unique_ptr<Channel> channel = std::make_unique<Channel>(std::span{room});
  model::ChannelLine& line = model::channel_line();
  ChannelRig() {
    line = {};
    add_module("web.dom", test::small_image("web"));
    start();
    REQUIRE(domain::manager().create(0));
  }
  /// Answers to all that was typed.
  std::vector<Json> answers() {
    for (int round = 0; round < 10'000; ++round) channel->service();
    REQUIRE(channel->idle());
    std::vector<Json> all;
    std::string text = std::move(line.answered);
    line.answered.clear();
    while (!text.empty()) {
      const auto end = text.find('\n');
      REQUIRE(end != std::string::npos);
      all.push_back(Json::parse(text.substr(0, end)));
      text.erase(0, end + 1);
    }
    return all;
  }
  std::vector<Json> ask(const std::string& typed) {
    line.type(typed);
    return answers();
  }
};
}  // namespace

TEST_CASE("channel: a line is answered once, CR and empty lines are nothing, ids come back") {
  ChannelRig rig;
  auto got = rig.ask("list\r\n\r\n\n#7 version\n#18446744073709551615 help\n");
  REQUIRE(got.size() == 3);
  CHECK(got[0]["command"] == "list");
  CHECK_FALSE(got[0].contains("id"));
  CHECK(got[1]["id"] == 7);
  CHECK(got[1]["command"] == "version");
  CHECK(got[2]["id"] == ~u64{0});
}

TEST_CASE("channel: half a line is kept until the rest comes, or forgotten with Ctrl-U") {
  ChannelRig rig;
  CHECK(rig.ask("#1 li").empty());
  auto got = rig.ask("st\n");
  REQUIRE(got.size() == 1);
  CHECK(got[0]["ok"] == true);
  got = rig.ask("destroy we\x15#2 list\n");
  REQUIRE(got.size() == 1);
  CHECK(got[0]["id"] == 2);
  CHECK(domain::manager().find("web")->state() == domain::State::running);
}

TEST_CASE("channel: a line is at most so long, and the next one is heard again") {
  ChannelRig rig;
  const std::string longest = "#5 list" + std::string(Channel::k_line - 7, ' ');
  auto got = rig.ask(longest + "\n" + longest + " \n#6 list\n" + std::string(5000, 'x') + "\x15list\n");
  REQUIRE(got.size() == 4);
  CHECK(got[0]["ok"] == true);
  CHECK(got[1]["error"] == "the line is too long");
  CHECK(got[1]["id"] == 5);
  CHECK(got[2]["ok"] == true);
  CHECK(got[2]["id"] == 6);
  CHECK(got[3]["ok"] == true);
}

TEST_CASE("channel: what is no id is an error, and an id alone too") {
  ChannelRig rig;
  for (const char* bad : {"# list\n", "#x list\n", "#18446744073709551616 list\n", "#-1 list\n", "#1list\n", "#\n"}) {
    const auto got = rig.ask(bad);
    REQUIRE(got.size() == 1);
    CHECK(got[0]["ok"] == false);
    CHECK_FALSE(got[0].contains("id"));
    CHECK(got[0]["error"] == "an id is a number behind #, then a space");
  }
  const auto got = rig.ask("#3\n#4   \n");
  REQUIRE(got.size() == 2);
  CHECK(got[0]["id"] == 3);
  CHECK(got[1]["id"] == 4);
  CHECK(got[1]["error"] == "a command belongs behind the id");
}

TEST_CASE("channel: any bytes get valid answers") {
  ChannelRig rig;
  u64 state = 20261120;
  for (int i = 0; i < 300; ++i) {
    std::string bytes;
    for (int n = 0; n < 60; ++n) {
      state = state * 6364136223846793005 + 1442695040888963407;
      bytes += static_cast<char>(state >> 56);
    }
    for (const Json& answer : rig.ask(bytes + "\n")) CHECK(answer["ok"] == false);
  }
  CHECK(rig.ask("\x15list\n").size() == 1);
}

TEST_CASE("channel: a reader that does not read holds up nobody, commands wait, and none is lost") {
  ChannelRig rig;
  rig.line.room = 0;
  rig.line.type("#1 help\n#2 pause web\n");
  for (int round = 0; round < 100; ++round) {
    const u64 before = rig.simulated.now_ns;
    rig.channel->service();
    CHECK(rig.simulated.now_ns - before <= 2000);  // one or two looks at the transmitter
  }
  CHECK_FALSE(rig.channel->idle());
  CHECK(rig.line.answered.empty());
  CHECK(domain::manager().find("web")->state() == domain::State::running);  // the second has not been run
  rig.line.room = 5;
  rig.channel->service();
  CHECK(rig.line.answered == "{\"id\"");
  rig.line.room = ~usize{0};
  rig.line.at_a_time = 16;
  const auto got = rig.answers();
  REQUIRE(got.size() == 2);
  CHECK(got[0]["id"] == 1);
  CHECK(got[1]["id"] == 2);
  CHECK(domain::manager().find("web")->state() == domain::State::paused);
}

TEST_CASE("channel: an answer that does not fit becomes a sentence, and the next one is whole again") {
  ChannelRig rig;
  rig.channel = std::make_unique<Channel>(std::span{rig.room}.first(600));
  const auto got = rig.ask("#1 help\n#2 version\n");
  REQUIRE(got.size() == 2);
  CHECK(got[0]["id"] == 1);
  CHECK(got[0]["error"] == "the answer is too long for the channel; ask for one domain");
  CHECK(got[1]["ok"] == true);
}

TEST_CASE("channel: a flood of bytes does not keep the main loop") {
  ChannelRig rig;
  rig.line.type(std::string(100'000, '\r'));
  rig.channel->service();
  CHECK(rig.line.typed.size() >= 90'000);
}

TEST_CASE("channel: the farewell is bounded") {
  ChannelRig rig;
  rig.line.room = 0;
  rig.line.type("shutdown\n");
  rig.channel->service();
  const u64 begin = rig.simulated.now_ns;
  rig.channel->say_farewell();
  CHECK_FALSE(rig.channel->idle());
  CHECK(rig.simulated.now_ns - begin <= Channel::k_farewell_ns + 1000);
  rig.line.room = ~usize{0};
  rig.channel->say_farewell();
  CHECK(rig.channel->idle());
  CHECK(Json::parse(rig.line.answered)["command"] == "shutdown");
}
