// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/connect/endpoint.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "tools/octavo/run/files.hpp"

using namespace octavo::tool;
using std::chrono::milliseconds;

namespace {
constexpr milliseconds k_limit{5000};

Descriptor listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM, 0)};
  REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(socket.get(), 1) == 0);
  return socket;
}
}  // namespace

TEST_CASE("endpoint: a UNIX socket, with and without unix:") {
  const auto folder = TemporaryFolder::make();
  REQUIRE(folder);
  const std::string path = (folder->path() / "s").string();
  {
    const Descriptor listener = listen_unix(path);
    for (const std::string& name : {path, "unix:" + path}) {
      const auto line = open_endpoint(name, k_limit);
      REQUIRE(line);
      const Descriptor other{accept(listener.get(), nullptr, nullptr)};
      REQUIRE(write(line->get(), "x", 1) == 1);
      char c = 0;
      REQUIRE(read(other.get(), &c, 1) == 1);
      CHECK(c == 'x');
    }
    CHECK(why_no_socket_at(path) == path + ": another machine listens there");
  }
  CHECK(open_endpoint(path, k_limit).error() == path + ": nobody listens at this socket");
  CHECK(why_no_socket_at(path) == "");
}

TEST_CASE("endpoint: what cannot be connected to is a sentence") {
  const auto folder = TemporaryFolder::make();
  REQUIRE(folder);
  const std::string file = (folder->path() / "file").string(), nothing = (folder->path() / "nothing").string();
  std::ofstream{file} << "x";
  CHECK(open_endpoint(nothing, k_limit).error() == nothing + ": No such file or directory");
  CHECK(open_endpoint("unix:" + nothing, k_limit).error() == nothing + ": No such file or directory");
  CHECK(open_endpoint(file, k_limit).error() == file + ": neither a socket nor a serial device");
  const std::string far(200, 'x');
  CHECK_FALSE(open_endpoint("unix:" + far, k_limit));
  CHECK(why_no_socket_at(far).find("longer than") != std::string::npos);
  CHECK(why_no_socket_at(file) == file + ": is there already and is no socket");
  CHECK(why_no_socket_at(nothing) == "");
}

TEST_CASE("endpoint: TCP reaches the loopback and nothing else") {
  Descriptor listener{socket(AF_INET, SOCK_STREAM, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(listener.get(), 1) == 0);
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  CHECK(open_endpoint("tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port)), k_limit));
  for (const char* far : {"tcp:192.0.2.1:4444", "tcp:0.0.0.0:4444", "tcp:[2001:db8::1]:4444"}) {
    const auto line = open_endpoint(far, k_limit);
    REQUIRE_FALSE(line);
    CHECK(line.error().find("only this host's loopback") != std::string::npos);
  }
  for (const char* bad : {"tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:http", "tcp::4444"}) CHECK_FALSE(open_endpoint(bad, k_limit));
}

TEST_CASE("endpoint: a terminal is made raw, so that bytes pass as they are") {
  const Descriptor master{posix_openpt(O_RDWR | O_NOCTTY)};
  REQUIRE(master.is_open());
  REQUIRE(grantpt(master.get()) == 0);
  REQUIRE(unlockpt(master.get()) == 0);
  const auto line = open_endpoint(ptsname(master.get()), k_limit);
  REQUIRE(line);
  termios settings{};
  REQUIRE(tcgetattr(line->get(), &settings) == 0);
  CHECK((settings.c_lflag & static_cast<tcflag_t>(ICANON | ECHO | ISIG)) == 0);
  CHECK((settings.c_oflag & static_cast<tcflag_t>(OPOST)) == 0);
  CHECK(cfgetospeed(&settings) == B115200);
  REQUIRE(write(line->get(), "\x15#1\n", 4) == 4);
  char bytes[8];
  REQUIRE(read(master.get(), bytes, sizeof bytes) == 4);
  CHECK(std::string_view(bytes, 4) == "\x15#1\n");
}
