// SPDX-License-Identifier: Apache-2.0
#include "tests/model/channel_line.hpp"

#include <algorithm>

#include "tests/model/machine.hpp"

namespace octavo {

model::ChannelLine& model::channel_line() {
  static ChannelLine line;
  return line;
}

namespace arch {
std::optional<u8> channel_read() {
  auto& typed = model::channel_line().typed;
  if (typed.empty()) return std::nullopt;
  const u8 byte = typed.front();
  typed.pop_front();
  return byte;
}

usize channel_write(std::string_view bytes) {
  model::ChannelLine& line = model::channel_line();
  if (auto* const machine = model::SimulatedMachine::current()) machine->now_ns += 1000;
  const usize taken = std::min({bytes.size(), line.room, line.at_a_time});
  line.answered += bytes.substr(0, taken);
  if (line.room != ~usize{0}) line.room -= taken;
  return taken;
}

bool serial_lines_are_polled() { return false; }
}  // namespace arch
}  // namespace octavo
