// SPDX-License-Identifier: Apache-2.0
#include "tests/system/case.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "tools/octavo/run/process.hpp"

namespace octavo::system_test {
namespace {
/// The end of a console, for a failure's message; all of it is in the log.
std::string tail(const std::string& output) {
  constexpr std::size_t k_enough = 600;
  return output.size() <= k_enough ? output : "..." + output.substr(output.size() - k_enough);
}
}  // namespace

void fail_case(std::string sentence) { throw Unexpected{std::move(sentence)}; }

const Ran& Ran::expect_status(int wanted) const {
  if (timed_out) fail_case(fmt::format("expected exit status {}, but it did not end in time; console: {}", wanted, tail(output)));
  if (status != wanted) fail_case(fmt::format("expected exit status {}, got {}; console: {}", wanted, status, tail(output)));
  return *this;
}

const Ran& Ran::expect_text(std::string_view text) const {
  if (output.find(text) == std::string::npos) fail_case(fmt::format("expected \"{}\"; console: {}", text, tail(output)));
  return *this;
}

const Ran& Ran::expect_no_text(std::string_view text) const {
  if (output.find(text) != std::string::npos) fail_case(fmt::format("expected no \"{}\"; console: {}", text, tail(output)));
  return *this;
}

const Ran& Ran::expect_in_order(const std::vector<std::string>& texts) const {
  std::size_t at = 0;
  for (const std::string& text : texts) {
    at = output.find(text, at);
    if (at == std::string::npos) fail_case(fmt::format("expected \"{}\" (in order); console: {}", text, tail(output)));
    at += text.size();
  }
  return *this;
}

Bench::Bench(std::filesystem::path build, std::filesystem::path source, std::filesystem::path log)
    : build_(std::move(build)), source_(std::move(source)), log_(std::move(log)), folder_(log_.string() + ".d") {
  std::filesystem::remove(log_);
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

Ran Bench::command(const Words& argv, std::chrono::seconds limit) const {
  const auto captured = tool::capture(argv, limit);
  if (!captured) fail_case(captured.error());
  Ran ran{.status = captured->status.signalled ? 128 + captured->status.code : captured->status.code,
          .timed_out = captured->timed_out,
          .output = captured->output};
  std::erase(ran.output, '\r');
  write_log(argv, ran);
  return ran;
}

void Bench::write_log(const Words& argv, const Ran& ran) const {
  std::ofstream{log_, std::ios::app} << "$ " << tool::shell_quoted(argv) << '\n' << ran.output << fmt::format("\n[exit status {}]\n\n", ran.status);
}

Ran Bench::converse(const Words& words, std::chrono::seconds limit, const std::vector<Step>& steps) const {
  Words argv{(build_ / "tools/octavo/octavo").string(), "run", "--accel", "tcg", "--interactive", "--timeout", std::to_string(limit.count())};
  argv.insert(argv.end(), words.begin(), words.end());
  auto process = tool::Process::start(argv, tool::Input::pipe, tool::ErrorOutput::with_output);
  if (!process) fail_case(process.error());
  Ran ran;
  std::size_t step = 0, seen = 0;
  std::array<char, 4096> chunk{};
  // `octavo run` ends by itself at its time limit, so this read does too.
  for (ssize_t count; (count = read(process->output().get(), chunk.data(), chunk.size())) > 0;) {
    ran.output.append(chunk.data(), static_cast<std::size_t>(count));
    for (std::size_t at; step < steps.size() && (at = ran.output.find(steps[step].wait, seen)) != std::string::npos; ++step) {
      seen = at + steps[step].wait.size();
      if (write(process->input().get(), steps[step].type.data(), steps[step].type.size()) < 0) fail_case("`octavo run` takes no keys any more");
    }
  }
  ran.status = process->wait().code;
  std::erase(ran.output, '\r');
  write_log(argv, ran);
  if (step != steps.size()) fail_case(fmt::format("expected \"{}\" at step {}; console: {}", steps[step].wait, step + 1, tail(ran.output)));
  return ran;
}

Ran Bench::octavo(const Words& words, std::chrono::seconds limit) const {
  Words argv{(build_ / "tools/octavo/octavo").string()};
  argv.insert(argv.end(), words.begin(), words.end());
  return command(argv, limit);
}

Ran Bench::run(const Words& words, std::chrono::seconds limit) const {
  Words argv{"run", "--accel", "tcg", "--no-interactive", "--timeout", std::to_string(limit.count())};
  argv.insert(argv.end(), words.begin(), words.end());
  return octavo(argv, limit + std::chrono::seconds{60});  // making the boot image and ending QEMU are not in the guest's limit
}
}  // namespace octavo::system_test
