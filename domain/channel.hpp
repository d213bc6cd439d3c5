// SPDX-License-Identifier: Apache-2.0
// The operator channel: command lines in on a serial line, one JSON object on one line out for each (docs/operating.md). A line
// may begin with `#<number> `, and its answer then has that "id". CR is ignored, Ctrl-U forgets what the line has so far, an
// empty line gets no answer. Never waits: an answer lies in a buffer and leaves as the line takes it, however long its reader
// takes, and the next command is run when the one before has left; the rest of the hypervisor goes on meanwhile.
// Used by the main loop's CPU.
#pragma once
#include <span>

#include "lib/format.hpp"

namespace octavo::domain {

class Channel {
 public:
  static constexpr usize k_line = 256;  ///< bytes of a command line, at most
  static constexpr u64 k_farewell_ns = 100'000'000;

  /// An answer that does not fit into `room` becomes an error answer.
  explicit constexpr Channel(std::span<char> room) : answer_(room) {}

  /// One round: sends what the line takes; if no answer is under way, reads, and runs at most one command.
  void service();
  /// Before the machine ends: the last answer gets k_farewell_ns to leave.
  void say_farewell();
  [[nodiscard]] bool idle() const { return sent_ == size_; }

 private:
  void send();
  void take(u8 byte);
  void run_line();

  char line_[k_line] = {};
  usize used_ = 0;
  bool too_long_ = false;
  std::span<char> answer_;
  usize size_ = 0, sent_ = 0;
};

[[nodiscard]] Channel& channel();
}  // namespace octavo::domain
