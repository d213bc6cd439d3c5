// SPDX-License-Identifier: Apache-2.0
// The operator channel's line as a host process has it: what the operator has typed, what came back, and how much the
// transmitter takes. Every call moves the machine's clock a little, so that bounded waits end.
#pragma once
#include <deque>
#include <string>

#include "lib/int.hpp"

namespace octavo::model {

struct ChannelLine {
  std::deque<u8> typed;
  std::string answered;
  usize room = ~usize{0};       ///< bytes that the transmitter takes until somebody makes more room
  usize at_a_time = ~usize{0};  ///< and in one call
  void type(const std::string& text) { typed.insert(typed.end(), text.begin(), text.end()); }
};

[[nodiscard]] ChannelLine& channel_line();
}  // namespace octavo::model
