// SPDX-License-Identifier: Apache-2.0
// How verbs speak to people: errors on standard error, coloured only on a terminal; progress only there, and only for what
// takes long.
#pragma once
#include <string>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::tool {

/// The descriptor is a terminal that knows colours, and nobody has set NO_COLOR (no-color.org).
[[nodiscard]] bool wants_colours(int descriptor);

/// "web.toml:7: memory 64M is above maximum_memory 32M"
void report_error(std::string_view text);

/// A line that is written over and over: "web.dom  42%". Silent when standard error is no terminal or the whole is small.
class ProgressLine {
 public:
  explicit ProgressLine(std::string subject) : subject_(std::move(subject)) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();
  void update(u64 done, u64 total);

 private:
  std::string subject_;
  u64 shown_percent_ = ~u64{0};
};
}  // namespace octavo::tool
