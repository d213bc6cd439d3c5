// SPDX-License-Identifier: Apache-2.0
// A machine that runs beside the test, and that the test speaks to over its operator channel, as `octavo --connect` does.
#pragma once
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/system/case.hpp"
#include "tools/octavo/run/files.hpp"
#include "tools/octavo/run/process.hpp"

namespace octavo::system_test {
using Json = nlohmann::json;

inline void expect(bool condition, const std::string& what) {
  if (!condition) fail_case("expected " + what);
}

/// `octavo run --channel` in the background, its console read all the time.
class LiveMachine {
 public:
  LiveMachine(const Bench& bench, const Words& words, std::chrono::seconds limit = std::chrono::seconds{240})
      : bench_(bench), folder_(must(tool::TemporaryFolder::make())), process_(start(words, limit)), reader_([this] { read_console(); }) {}
  ~LiveMachine() { process_.signal(SIGTERM); }  // does nothing to one that has ended
  LiveMachine(const LiveMachine&) = delete;
  LiveMachine& operator=(const LiveMachine&) = delete;

  [[nodiscard]] std::string socket() const { return (folder_.path() / "channel").string(); }

  /// Until the console has shown it so many times; the machine's own time limit is the end of all patience.
  void wait_for(std::string_view text, std::size_t times = 1) {
    std::unique_lock guard{lock_};
    const auto shown = [&] {
      std::size_t n = 0;
      for (std::size_t at = 0; (at = console_.find(text, at)) != std::string::npos; at += text.size()) ++n;
      return n >= times;
    };
    changed_.wait(guard, [&] { return ended_ || shown(); });
    if (!shown()) fail_case(fmt::format("expected \"{}\" {} times; console: {}", text, times, console_));
  }

  /// octavo --connect SOCKET WORDS...
  [[nodiscard]] Ran connect(const Words& words) const {
    Words all{"--connect", socket(), "--timeout", "60"};
    all.insert(all.end(), words.begin(), words.end());
    return bench_.octavo(all, std::chrono::seconds{90});
  }
  /// The same with --json, which must succeed.
  [[nodiscard]] Json ask(Words words) const {
    words.emplace_back("--json");
    const Ran ran = connect(words).expect_status(0);
    Json answer = Json::parse(ran.output, nullptr, false);
    if (!answer.is_object() || answer["ok"] != true || answer["command"] != words.front()) fail_case("expected an answer in JSON, got " + ran.output);
    return answer;
  }
  /// A domain that has been told to go is gone after the next turn of the main loop, which is before the next command.
  void destroy(const std::string& name) const { (void)ask({"destroy", name}); }

  int wait() {
    reader_.join();
    return process_.wait().code;
  }

 private:
  template <class T>
  static T must(tool::Outcome<T> outcome) {
    if (!outcome) fail_case(outcome.error());
    return std::move(*outcome);
  }
  tool::Process start(const Words& words, std::chrono::seconds limit) const {
    Words argv{(bench_.build() / "tools/octavo/octavo").string(), "run", "--accel", "tcg", "--no-interactive", "--timeout", std::to_string(limit.count()), "--channel", socket(),
               "--serial-log", (bench_.folder() / "console.log").string()};
    argv.insert(argv.end(), words.begin(), words.end());
    return must(tool::Process::start(argv, tool::Input::null, tool::ErrorOutput::with_output));
  }
  void read_console() {
    std::array<char, 4096> chunk{};
    for (ssize_t count; (count = read(process_.output().get(), chunk.data(), chunk.size())) > 0;) {
      const std::lock_guard guard{lock_};
      for (const char c : std::string_view{chunk.data(), static_cast<std::size_t>(count)}) {
        if (c != '\r') console_ += c;
      }
      changed_.notify_all();
    }
    const std::lock_guard guard{lock_};
    ended_ = true;
    changed_.notify_all();
  }

  const Bench& bench_;
  tool::TemporaryFolder folder_;  // a socket's path is short, so it is not in the case's own folder
  tool::Process process_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::string console_;
  bool ended_ = false;
  std::jthread reader_;
};
}  // namespace octavo::system_test
