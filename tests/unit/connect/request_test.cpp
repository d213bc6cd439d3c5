// SPDX-License-Identifier: Apache-2.0
// The client's half of the operator channel against a hypervisor that is a thread at the other end of a socket pair.
#include "tools/octavo/connect/request.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "tools/octavo/run/process.hpp"

using namespace octavo::tool;
using std::chrono::milliseconds;

namespace {
constexpr milliseconds k_patience{20'000};  // reached only when something is wrong

void put(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string take_line(int fd) {
  std::string line;
  for (char c; read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

/// request("list", 77) while `server` has the other end; it is closed when server returns.
Outcome<ChannelAnswer> ask(const std::function<void(int)>& server, milliseconds limit = k_patience) {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  Descriptor ours{pair[0]}, theirs{pair[1]};
  REQUIRE(fcntl(ours.get(), F_SETFL, O_NONBLOCK) == 0);
  std::jthread thread{[&] {
    server(theirs.get());
    shutdown(theirs.get(), SHUT_RDWR);
  }};
  auto answer = request(ours.get(), "list", 77, limit);
  shutdown(ours.get(), SHUT_RDWR);
  return answer;
}

const std::string k_good = R"({"id":77,"command":"list","ok":true,"domains":[]})";
}  // namespace

TEST_CASE("request: sends a line that forgets what was typed before, with the id, and takes the answer") {
  std::string seen;
  const auto answer = ask([&](int fd) {
    seen = take_line(fd);
    put(fd, k_good + "\n");
  });
  CHECK(seen == "\x15#77 list");
  REQUIRE(answer);
  CHECK(answer->ok());
  CHECK(answer->line == k_good);
}

TEST_CASE("request: an answer may come in any pieces, and with CR") {
  for (std::size_t piece = 1; piece <= 5; ++piece) {
    const auto answer = ask([&](int fd) {
      (void)take_line(fd);
      const std::string whole = k_good + "\r\n";
      for (std::size_t at = 0; at < whole.size(); at += piece) put(fd, whole.substr(at, piece));
    });
    REQUIRE(answer);
    CHECK(answer->line == k_good);
  }
}

TEST_CASE("request: what is not the answer is passed over") {
  const auto answer = ask([&](int fd) {
    (void)take_line(fd);
    put(fd, "mains\":[]}\n\n{\n[77]\nnull\n77\n\xff\xfe{\"id\":77\n");
    put(fd, R"({"command":"list","ok":true})" "\n" R"({"id":76,"ok":true})" "\n" R"({"id":"77","ok":true})" "\n" R"({"id":-77,"ok":true})" "\n");
    put(fd, R"({"id":77})" "\n" R"({"id":77,"ok":1})" "\n" R"({"id":77.5,"ok":true})" "\n");
    put(fd, std::string(100, '[') + "\n");
    put(fd, k_good + "\n");
  });
  REQUIRE(answer);
  CHECK(answer->line == k_good);
}

TEST_CASE("request: an endless line without end is passed over in bounded memory") {
  const auto answer = ask([&](int fd) {
    (void)take_line(fd);
    for (int i = 0; i < 48; ++i) put(fd, std::string(1 << 16, 'x'));
    put(fd, "\n" + k_good + "\n");
  });
  REQUIRE(answer);
  CHECK(answer->line == k_good);
}

TEST_CASE("request: a failed command is an answer") {
  const auto answer = ask([](int fd) {
    (void)take_line(fd);
    put(fd, R"({"id":77,"command":"list","ok":false,"error":"no"})" "\n");
  });
  REQUIRE(answer);
  CHECK_FALSE(answer->ok());
  CHECK(answer->json["error"] == "no");
}

TEST_CASE("request: no answer within the limit is a sentence, whatever else came") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
  const Descriptor ours{pair[0]}, theirs{pair[1]};
  put(theirs.get(), "{\"id\":76,\"ok\":true}\n");
  const auto silent = request(ours.get(), "list", 77, milliseconds{30});
  REQUIRE_FALSE(silent);
  CHECK(silent.error() == "no answer within 0.03 s");
}

TEST_CASE("request: the other side going away is a sentence") {
  const auto gone = ask([](int fd) {
    (void)take_line(fd);
    put(fd, "{\"id\":77,");
  });
  REQUIRE_FALSE(gone);
  CHECK(gone.error() == "the other side closed the channel before it answered");
}

TEST_CASE("command_line: words become a line, or a reason why not") {
  CHECK(*command_line({"p2m", "web", "0x100"}) == "p2m web 0x100");
  CHECK(*command_line({"p2m web"}) == "p2m web");
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{{}, {""}, {"  "}, {"#5", "list"}, {"list\ndestroy web"}, {"a\x15"}, {std::string(300, 'x')}}) {
    const auto line = command_line(bad);
    REQUIRE_FALSE(line);
    CHECK_FALSE(line.error().empty());
  }
}
