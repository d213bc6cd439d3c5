// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/terminal.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

using octavo::tool::wants_colours;

namespace {
/// An environment variable for as long as this lives; nullptr: not set.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  void set(const char* value) { static_cast<void>(value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1)); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};
}  // namespace

TEST_CASE("colours only on a terminal that knows them, and where nobody refuses them") {
  Variable refused("NO_COLOR", nullptr), terminal("TERM", "xterm");
  int master = -1, slave = -1;
  REQUIRE(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
  CHECK(wants_colours(slave));
  refused.set("1");
  CHECK(!wants_colours(slave));
  refused.set("");
  CHECK(wants_colours(slave));
  terminal.set("dumb");
  CHECK(!wants_colours(slave));
  terminal.set("xterm");
  const int file = ::open("/dev/null", O_WRONLY);
  REQUIRE(file >= 0);
  CHECK(!wants_colours(file));
  for (const int descriptor : {file, slave, master}) ::close(descriptor);
}
