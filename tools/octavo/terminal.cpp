// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace octavo::tool {
namespace {

constexpr u64 k_worth_a_progress_line = u64{16} << 20;  // bytes

bool on_terminal() { return ::isatty(STDERR_FILENO) != 0; }
}  // namespace

bool wants_colours(int descriptor) {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(descriptor) != 0 && (refused == nullptr || *refused == '\0') && (terminal == nullptr || std::strcmp(terminal, "dumb") != 0);
}

void report_error(std::string_view text) {
  if (wants_colours(STDERR_FILENO)) fmt::print(stderr, "\033[1;31m{}\033[0m\n", text);
  else fmt::print(stderr, "{}\n", text);
}

void ProgressLine::update(u64 done, u64 total) {
  if (total < k_worth_a_progress_line || !on_terminal()) return;
  const u64 percent = done / (total / 100);
  if (percent == shown_percent_) return;
  shown_percent_ = percent;
  fmt::print(stderr, "\r{} {:3}%", subject_, percent);
}

ProgressLine::~ProgressLine() {
  if (shown_percent_ != ~u64{0}) fmt::print(stderr, "\r\033[K");
}
}  // namespace octavo::tool
