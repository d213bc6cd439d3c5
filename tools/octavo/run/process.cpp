// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot to say extern "C" itself
}

namespace octavo::tool {
namespace {
using Clock = std::chrono::steady_clock;

struct Pipe {
  Descriptor read, write;
};

Outcome<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return complain(fmt::format("no pipe: {}", std::strerror(errno)));
  return Pipe{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

struct ChildStreams {
  int input = -1;   ///< -1: leave as it is
  int output = -1;
  int error_output = -1;
  int exec_failure = -1;  ///< gets errno if exec fails, closes if it succeeds
};

/// The child's side of fork: only async-signal-safe calls, since the parent may have threads (the system tests do).
[[noreturn]] void become(const char* program, char* const* argv, const ChildStreams& streams, pid_t parent) {
  setpgid(0, 0);  // a Ctrl-C at the terminal reaches the parent alone, which passes it on
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  if (streams.input >= 0) dup2(streams.input, STDIN_FILENO);
  if (streams.output >= 0) dup2(streams.output, STDOUT_FILENO);
  if (streams.error_output >= 0) dup2(streams.error_output, STDERR_FILENO);
  execv(program, argv);
  const int reason = errno;
  [[maybe_unused]] const ssize_t written = write(streams.exec_failure, &reason, sizeof reason);
  _exit(127);
}

int wait_readable(int fd, std::chrono::milliseconds limit) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, static_cast<int>(limit.count()));
}
}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() { return std::exchange(fd_, -1); }

void Descriptor::reset() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

std::string ExitStatus::describe() const {
  return signalled ? fmt::format("signal {} ({})", code, strsignal(code)) : fmt::format("exit status {}", code);
}

Process::Process(Descriptor pidfd, Descriptor input, Descriptor output)
    : pidfd_(std::move(pidfd)), input_(std::move(input)), output_(std::move(output)) {}

Process::~Process() {
  if (pidfd_.is_open() && !ended_) stop(std::chrono::seconds{2});
}

Outcome<Process> Process::start(const std::vector<std::string>& argv, Input input, ErrorOutput error_output) {
  const auto program = find_program(argv.front());
  if (!program) return complain(fmt::format("{} is not installed", argv.front()));
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  Pipe output = OCTAVO_TRY(make_pipe());
  Pipe failure = OCTAVO_TRY(make_pipe());
  Pipe feed;
  if (input == Input::pipe) feed = OCTAVO_TRY(make_pipe());
  if (input == Input::null) feed.read = Descriptor{open("/dev/null", O_RDONLY | O_CLOEXEC)};

  const ChildStreams streams{.input = feed.read.get(),
                             .output = output.write.get(),
                             .error_output = error_output == ErrorOutput::with_output ? output.write.get() : -1,
                             .exec_failure = failure.write.get()};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return complain(fmt::format("no new process: {}", std::strerror(errno)));
  if (child == 0) become(program->c_str(), arguments.data(), streams, parent);

  Process process{Descriptor{pidfd_open(child, 0)}, std::move(feed.write), std::move(output.read)};
  failure.write.reset();
  int reason = 0;
  if (read(failure.read.get(), &reason, sizeof reason) == static_cast<ssize_t>(sizeof reason)) {
    process.wait();
    return complain(fmt::format("{} cannot be started: {}", *program, std::strerror(reason)));
  }
  return process;
}

void Process::signal(int number) const {
  if (!ended_) pidfd_send_signal(pidfd_.get(), number, nullptr, 0);
}

std::optional<ExitStatus> Process::try_wait() {
  if (ended_) return ended_;
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
    ended_ = ExitStatus{.signalled = info.si_code != CLD_EXITED, .code = info.si_status};
  }
  return ended_;
}

ExitStatus Process::wait() {
  while (!try_wait()) wait_readable(pidfd_.get(), std::chrono::milliseconds{-1});
  return *ended_;
}

ExitStatus Process::stop(std::chrono::milliseconds grace) {
  signal(SIGTERM);
  if (!try_wait()) {
    wait_readable(pidfd_.get(), grace);
    if (!try_wait()) signal(SIGKILL);
  }
  return wait();
}

Outcome<Captured> capture(const std::vector<std::string>& argv, std::chrono::milliseconds limit,
                          const std::function<void(std::string_view)>& on_output) {
  Process process = OCTAVO_TRY(Process::start(argv, Input::null, ErrorOutput::with_output));
  Captured result;
  const auto deadline = Clock::now() + limit;
  std::array<char, 65536> chunk{};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      result.timed_out = true;
      break;
    }
    if (wait_readable(process.output().get(), left) <= 0) continue;
    const ssize_t count = read(process.output().get(), chunk.data(), chunk.size());
    if (count <= 0) break;
    result.output.append(chunk.data(), static_cast<std::size_t>(count));
    if (on_output) on_output({chunk.data(), static_cast<std::size_t>(count)});
  }
  result.status = result.timed_out ? process.stop(std::chrono::seconds{5}) : process.wait();
  return result;
}

std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? std::optional{name} : std::nullopt;
  const char* const variable = std::getenv("PATH");
  // Debian keeps some of what we need in sbin, which is not in everybody's PATH.
  const std::string path = std::string{variable == nullptr ? "/usr/bin:/bin" : variable} + ":/usr/sbin:/sbin";
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    std::string candidate = path.substr(begin, end - begin) + '/' + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return std::nullopt;
}

std::string shell_quoted(const std::vector<std::string>& argv) {
  constexpr std::string_view k_plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
  std::string line;
  for (const std::string& argument : argv) {
    if (!line.empty()) line += ' ';
    if (!argument.empty() && argument.find_first_not_of(k_plain) == std::string::npos) {
      line += argument;
      continue;
    }
    line += '\'';
    for (const char character : argument) line += character == '\'' ? std::string{"'\\''"} : std::string{character};
    line += '\'';
  }
  return line;
}
}  // namespace octavo::tool
