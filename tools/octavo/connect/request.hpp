// SPDX-License-Identifier: Apache-2.0
// One command over an operator channel: sends it with an id of its own and waits for the line that answers it. Whatever else
// comes (the rest of somebody's answer, noise) is passed over. Knows nothing of how the line was opened.
#pragma once
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/octavo/run/outcome.hpp"

namespace octavo::tool {

struct ChannelAnswer {
  std::string line;  ///< as it came, without the line's end
  nlohmann::ordered_json json;
  [[nodiscard]] bool ok() const { return json.value("ok", false); }
};

/// The words as one command line, or why they cannot be one.
Outcome<std::string> command_line(const std::vector<std::string>& words);

/// `fd` is non-blocking and stays the caller's. The error is a sentence: the limit passed, or the other side went away.
Outcome<ChannelAnswer> request(int fd, const std::string& command, std::uint64_t id, std::chrono::milliseconds limit);

/// Unlikely to be somebody else's.
std::uint64_t random_request_id();
}  // namespace octavo::tool
