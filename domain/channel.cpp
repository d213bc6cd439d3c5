// SPDX-License-Identifier: Apache-2.0
#include "domain/channel.hpp"

#include <algorithm>

#include "arch/x86/platform.hpp"
#include "domain/commands.hpp"
#include "domain/operator.hpp"

namespace octavo::domain {
namespace {
constinit char answer_room[64 * 1024] = {};
constinit Channel the_channel{answer_room};
constexpr u8 k_forget = 0x15;     // Ctrl-U
constexpr usize k_round = 1024;   // bytes looked at in one round, so that a flood does not keep the main loop here
}  // namespace

Channel& channel() { return the_channel; }

void Channel::service() {
  send();
  for (usize i = 0; i < k_round && idle(); ++i) {
    const std::optional<u8> byte = arch::channel_read();
    if (!byte) return;
    take(*byte);
    if (!idle()) return send();
  }
}

void Channel::say_farewell() {
  const u64 deadline = arch::uptime_ns() + k_farewell_ns;
  while (!idle() && arch::uptime_ns() < deadline) {
    send();
    arch::relax();
  }
}

void Channel::send() {
  while (!idle()) {
    const usize taken = arch::channel_write({answer_.data() + sent_, size_ - sent_});
    if (taken == 0) return;
    sent_ += taken;
  }
}

void Channel::take(u8 byte) {
  if (byte == '\n') return run_line();
  if (byte == '\r') return;
  if (byte == k_forget) {
    used_ = 0;
    too_long_ = false;
  } else if (used_ < k_line) {
    line_[used_++] = static_cast<char>(byte);
  } else {
    too_long_ = true;
  }
}

void Channel::run_line() {
  BufferSink sink{answer_};
  const std::string_view line{line_, used_};
  const auto refuse = [&sink](std::string_view why, std::optional<u64> id = std::nullopt) {
    Answer answer{sink, AnswerStyle::json, id};
    answer.failed("", why);
    answer.finish();
  };
  std::optional<u64> id;
  std::string_view command = line;
  bool well_formed = true;
  if (line.starts_with('#')) {
    const usize end = std::min(line.find(' '), line.size());
    id = parse_number(line.substr(1, end - 1));
    well_formed = id.has_value();
    command = line.substr(end);
  }
  if (too_long_) {
    refuse("the line is too long", id);
  } else if (!well_formed) {
    refuse("an id is a number behind #, then a space");
  } else {
    execute(command, sink, AnswerStyle::json, id);
    if (sink.view().empty() && id) refuse("a command belongs behind the id", id);
    if (sink.truncated()) {
      sink = BufferSink{answer_};
      refuse("the answer is too long for the channel; ask for one domain", id);
    }
  }
  size_ = sink.view().size();
  sent_ = 0;
  used_ = 0;
  too_long_ = false;
}
}  // namespace octavo::domain
