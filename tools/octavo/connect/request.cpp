// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/connect/request.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>

namespace octavo::tool {
namespace {
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t k_longest_command = 220;       // bytes; with the id it fits into the hypervisor's line of 256
constexpr std::size_t k_longest_answer = 1 << 20;    // bytes without an end of line: this is no operator channel's answer
constexpr char k_forget = 0x15;                      // Ctrl-U: what an earlier client may have begun to type

class Exchange {
 public:
  Exchange(int fd, std::uint64_t id, milliseconds limit) : fd_(fd), id_(id), limit_(limit), deadline_(Clock::now() + limit) {}

  Outcome<> send(std::string_view bytes) {
    while (!bytes.empty()) {
      OCTAVO_TRY(wait(POLLOUT));
      const ssize_t count = write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno != EAGAIN && errno != EINTR) return complain(fmt::format("the channel: {}", std::strerror(errno)));
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

  Outcome<ChannelAnswer> receive() {
    std::string pending;
    std::array<char, 4096> chunk{};
    while (true) {
      OCTAVO_TRY(wait(POLLIN));
      const ssize_t count = read(fd_, chunk.data(), chunk.size());
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (count <= 0) return complain("the other side closed the channel before it answered");
      pending.append(chunk.data(), static_cast<std::size_t>(count));
      for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
        if (auto answer = ours(pending.substr(0, end))) return std::move(*answer);
      }
      if (pending.size() > k_longest_answer) pending.clear();  // its end, when it comes, is passed over too
    }
  }

 private:
  Outcome<> wait(short event) {
    while (true) {
      const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now()).count();
      if (left <= 0) return complain(fmt::format("no answer within {} s", static_cast<double>(limit_.count()) / 1000));
      pollfd watched{fd_, event, 0};
      if (poll(&watched, 1, static_cast<int>(std::min<long long>(left, 1'000'000))) > 0) return {};
    }
  }

  [[nodiscard]] std::optional<ChannelAnswer> ours(std::string line) const {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    auto json = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("id") || !json["id"].is_number_unsigned() || json["id"] != id_) return std::nullopt;
    if (!json.contains("ok") || !json["ok"].is_boolean()) return std::nullopt;
    return ChannelAnswer{std::move(line), std::move(json)};
  }

  int fd_;
  std::uint64_t id_;
  milliseconds limit_;
  Clock::time_point deadline_;
};
}  // namespace

Outcome<std::string> command_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    line += line.empty() ? "" : " ";
    line += word;
  }
  if (line.find_first_not_of(' ') == std::string::npos) return complain("a command is missing; `help` lists them");
  if (line.front() == '#') return complain("a command does not begin with #");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(line.begin(), line.end(), is_control)) return complain("a command has no control characters in it");
  if (line.size() > k_longest_command) return complain(fmt::format("a command has at most {} characters", k_longest_command));
  return line;
}

Outcome<ChannelAnswer> request(int fd, const std::string& command, std::uint64_t id, milliseconds limit) {
  Exchange exchange{fd, id, limit};
  OCTAVO_TRY(exchange.send(fmt::format("{}#{} {}\n", k_forget, id, command)));
  return exchange.receive();
}

std::uint64_t random_request_id() { return std::random_device{}(); }
}  // namespace octavo::tool
