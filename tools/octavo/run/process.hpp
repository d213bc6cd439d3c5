// SPDX-License-Identifier: Apache-2.0
// A child process with pipes, owned: it is signalled by its pidfd (never by a number that may be somebody else's by now),
// and it does not outlive its owner: the destructor ends it, and the kernel does if the owner dies first. Used by `octavo run`, `octavo iso` and
// the system tests.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/octavo/run/outcome.hpp"

namespace octavo::tool {

/// A file descriptor that is closed when its owner goes.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

/// How a child ended.
struct ExitStatus {
  bool signalled = false;
  int code = 0;  ///< the exit status, or the signal's number
  [[nodiscard]] bool is_success() const { return !signalled && code == 0; }
  [[nodiscard]] std::string describe() const;  ///< "exit status 3", "signal 9 (Killed)"
};

enum class Input { null, pipe, inherited };
enum class ErrorOutput { inherited, with_output };

class Process {
 public:
  /// Starts argv[0] (looked up in PATH) in a process group of its own; its standard output is a pipe.
  static Outcome<Process> start(const std::vector<std::string>& argv, Input input, ErrorOutput error_output);
  Process(Process&&) = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] int pidfd() const { return pidfd_.get(); }          ///< readable when the child has ended
  [[nodiscard]] const Descriptor& output() const { return output_; }
  [[nodiscard]] Descriptor& input() { return input_; }
  void signal(int number) const;
  [[nodiscard]] std::optional<ExitStatus> try_wait();
  ExitStatus wait();
  /// Asks with SIGTERM, insists with SIGKILL after `grace`.
  ExitStatus stop(std::chrono::milliseconds grace);

 private:
  Process(Descriptor pidfd, Descriptor input, Descriptor output);
  Descriptor pidfd_, input_, output_;
  std::optional<ExitStatus> ended_;
};

struct Captured {
  ExitStatus status;
  std::string output;      ///< standard output and standard error, interleaved
  bool timed_out = false;  ///< it was stopped because the limit had passed
};

/// Runs argv to its end, or to the limit; its standard input is empty. `on_output`, if given, sees the
/// output as it comes.
Outcome<Captured> capture(const std::vector<std::string>& argv, std::chrono::milliseconds limit,
                          const std::function<void(std::string_view)>& on_output = {});

/// Is this program in PATH? Returns where.
std::optional<std::string> find_program(const std::string& name);
/// argv as a shell would accept it.
std::string shell_quoted(const std::vector<std::string>& argv);
}  // namespace octavo::tool
