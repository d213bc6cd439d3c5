// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tools/octavo/connect/endpoint.hpp"
#include "tools/octavo/run/files.hpp"
#include "tools/octavo/run/iso.hpp"
#include "tools/octavo/run/process.hpp"
#include "tools/octavo/run/terminal.hpp"
#include "tools/octavo/run/text_watch.hpp"

namespace octavo::tool {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// The signals that end a run, as events of a descriptor, so that the terminal is given back and QEMU is not left behind.
class EndingSignals {
 public:
  EndingSignals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, &before_);
    descriptor_ = Descriptor{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~EndingSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  EndingSignals(const EndingSignals&) = delete;
  EndingSignals& operator=(const EndingSignals&) = delete;
  [[nodiscard]] int fd() const { return descriptor_.get(); }
  [[nodiscard]] int take() const {
    signalfd_siginfo info{};
    return read(descriptor_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  Descriptor descriptor_;
  sigset_t before_{};
};

/// Writes all of it, or gives up when the reader is gone.
void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

/// The serial line of one machine from start to end.
class Session {
 public:
  Session(const RunRequest& request, Process process) : request_(request), process_(std::move(process)), until_(request.until) {
    for (const std::string& text : request.expect) expect_.emplace_back(text);
    for (const std::string& text : request.reject) reject_.emplace_back(text);
  }

  RunVerdict run() {
    if (!request_.serial_log.empty()) {
      log_ = Descriptor{open(request_.serial_log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
      if (!log_.is_open()) return {RunExit::usage, fmt::format("{}: {}", request_.serial_log.string(), std::strerror(errno))};
    }
    RawTerminal terminal{request_.interactive ? STDIN_FILENO : -1};
    pump();
    return judge();
  }
  [[nodiscard]] std::optional<ExitStatus> qemu_status() const { return status_; }

 private:
  enum class End { by_itself, time_limit, signal, text_seen };

  void pump() {
    const auto deadline = request_.limit ? Clock::now() + *request_.limit : Clock::time_point::max();
    bool keys = request_.interactive, console = true;
    while (console) {
      std::array<pollfd, 3> watched{pollfd{process_.output().get(), POLLIN, 0}, pollfd{signals_.fd(), POLLIN, 0},
                                    pollfd{keys ? STDIN_FILENO : -1, POLLIN, 0}};
      int wait = -1;
      if (request_.limit) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return end(End::time_limit);
        wait = static_cast<int>(std::min<long long>(left, 1'000'000));
      }
      if (poll(watched.data(), watched.size(), wait) <= 0) continue;
      if (watched[1].revents != 0) {
        if (signal_ = signals_.take(); signal_ != 0) return end(End::signal);
      }
      if (watched[2].revents != 0) keys = pass_keys();
      if (watched[0].revents != 0) console = pass_console();
      if (!request_.until.empty() && until_.seen()) return end(End::text_seen);
    }
    end(End::by_itself);
  }

  bool pass_keys() {
    std::array<char, 256> keys{};
    const ssize_t count = read(STDIN_FILENO, keys.data(), keys.size());
    if (count <= 0) {
      process_.input().reset();
      return false;
    }
    write_all(process_.input().get(), {keys.data(), static_cast<std::size_t>(count)});
    return true;
  }

  bool pass_console() {
    std::array<char, 16384> chunk{};
    const ssize_t count = read(process_.output().get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return false;
    const std::string_view piece{chunk.data(), static_cast<std::size_t>(count)};
    write_all(STDOUT_FILENO, piece);
    if (log_.is_open()) write_all(log_.get(), piece);
    for (TextWatch& watch : expect_) watch.feed(piece);
    for (TextWatch& watch : reject_) watch.feed(piece);
    until_.feed(piece);
    return true;
  }

  void end(End reason) {
    end_ = reason;
    if (reason == End::signal) process_.signal(signal_);
    status_ = reason == End::by_itself ? process_.wait() : process_.stop(std::chrono::seconds{5});
  }

  [[nodiscard]] RunVerdict judge() const {
    RunVerdict verdict;
    switch (end_) {
      case End::time_limit:
        return {RunExit::time_limit, fmt::format("stopped at the time limit of {} s", static_cast<double>(request_.limit->count()) / 1000)};
      case End::signal: return {RunExit::failed, fmt::format("ended by signal {} ({})", signal_, strsignal(signal_)), signal_};
      case End::text_seen: verdict = {RunExit::passed, {}}; break;
      case End::by_itself: verdict = verdict_of(*status_); break;
    }
    if (verdict.exit != RunExit::passed) return verdict;
    for (const TextWatch& watch : expect_) {
      if (!watch.seen()) return {RunExit::failed, fmt::format("\"{}\" was expected on the console and not seen", watch.text())};
    }
    for (const TextWatch& watch : reject_) {
      if (watch.seen()) return {RunExit::failed, fmt::format("\"{}\" was seen on the console and must not be", watch.text())};
    }
    return verdict;
  }

  const RunRequest& request_;
  EndingSignals signals_;
  Process process_;
  Descriptor log_;
  std::vector<TextWatch> expect_, reject_;
  TextWatch until_;
  End end_ = End::by_itself;
  int signal_ = 0;
  std::optional<ExitStatus> status_;
};

bool is_boot_image(const fs::path& path) {
  // ISO 9660 (ECMA-119, 8.1): the first volume descriptor, with "CD001", stands at sector 16.
  constexpr std::size_t k_descriptor = 16 * 2048;
  const auto head = read_file(path, k_descriptor + 6);
  return head && head->size() == k_descriptor + 6 && head->compare(k_descriptor + 1, 5, "CD001") == 0;
}

/// Makes request.machine.iso: the image that was named, or a temporary one for domain images.
Outcome<fs::path> boot_image(const RunRequest& request, const fs::path& folder) {
  if (request.inputs.size() == 1 && is_boot_image(request.inputs.front())) return request.inputs.front();
  IsoRequest iso;
  iso.images = request.inputs;
  iso.hypervisor = request.hypervisor;
  iso.output = folder / "octavo.iso";
  if (iso.hypervisor.empty()) iso.hypervisor = OCTAVO_TRY(find_hypervisor());
  OCTAVO_TRY(make_iso_for_person(iso));
  return iso.output;
}

/// QEMU makes the socket of the operator channel and may leave it behind.
class ChannelSocket {
 public:
  explicit ChannelSocket(const fs::path& path) : path_(path) {}
  ~ChannelSocket() {
    if (path_.empty()) return;
    std::error_code ignored;
    if (fs::is_socket(path_, ignored)) fs::remove(path_, ignored);
  }
  ChannelSocket(const ChannelSocket&) = delete;
  ChannelSocket& operator=(const ChannelSocket&) = delete;

 private:
  fs::path path_;
};

const char* name_of(RunExit exit) {
  switch (exit) {
    case RunExit::passed: return "passed";
    case RunExit::failed: return "failed";
    case RunExit::usage: return "usage";
    case RunExit::panic: return "panic";
    case RunExit::time_limit: return "time limit";
  }
  return "failed";
}
}  // namespace

RunVerdict verdict_of(const ExitStatus& qemu) {
  if (!qemu.signalled) {
    if (qemu.code == k_qemu_passed) return {RunExit::passed, {}};
    if (qemu.code == k_qemu_failed) return {RunExit::failed, "the hypervisor says that a guest failed"};
    if (qemu.code == k_qemu_panic) return {RunExit::panic, "the hypervisor panicked"};
    if (qemu.code == 0) return {RunExit::failed, "the machine was reset or switched off before the hypervisor gave a verdict"};
  }
  return {RunExit::failed, fmt::format("QEMU ended with {}, which is no verdict of the hypervisor", qemu.describe())};
}

Outcome<RunVerdict> run(const RunRequest& request) {
  MachineRequest machine = request.machine;
  // Only the emulator counts instructions and writes a log, so who leaves the choice to us gets it.
  const bool wants_emulator = request.accelerator == "auto" && (machine.icount || !machine.qemu_log.empty());
  const std::string wish = wants_emulator ? "tcg" : request.accelerator;
  machine.accelerator = OCTAVO_TRY(choose_accelerator(wish, wish == "tcg" ? std::string{} : why_no_nested_kvm()));
  machine.options = request.options.empty() ? "exit=qemu" : "exit=qemu " + request.options;
  machine.console_keys = request.interactive;
  OCTAVO_TRY(check_options(machine.options));
  if (!machine.channel.empty()) {
    if (std::string why = why_no_socket_at(machine.channel.string()); !why.empty()) return complain("--channel " + std::move(why));
  }
  const QemuVersion version = OCTAVO_TRY(probe_qemu(machine.program));
  for (const std::string& note : qemu_notes(version, machine.accelerator)) fmt::print(stderr, "octavo run: note: {}\n", note);

  const TemporaryFolder folder = OCTAVO_TRY(TemporaryFolder::make());
  if (request.dry_run) {
    machine.iso = request.inputs.size() == 1 && is_boot_image(request.inputs.front()) ? request.inputs.front() : "octavo.iso";
    fmt::print("{}\n", shell_quoted(OCTAVO_TRY(qemu_command(machine))));
    return RunVerdict{RunExit::passed, {}};
  }
  machine.iso = OCTAVO_TRY(boot_image(request, folder.path()));
  const ChannelSocket socket{machine.channel};
  const std::vector<std::string> argv = OCTAVO_TRY(qemu_command(machine));
  if (!machine.gdb_port.empty()) fmt::print(stderr, "octavo run: the machine waits for gdb: target remote localhost:{}\n", machine.gdb_port);

  const auto begin = Clock::now();
  Session session{request, OCTAVO_TRY(Process::start(argv, request.interactive ? Input::pipe : Input::null, ErrorOutput::inherited))};
  const RunVerdict verdict = session.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!verdict.sentence.empty()) fmt::print(stderr, "octavo run: {}\n", verdict.sentence);
  if (request.json) {
    const auto status = session.qemu_status();
    nlohmann::json line{{"verdict", name_of(verdict.exit)}, {"exit_code", static_cast<int>(verdict.exit)}, {"seconds", seconds},
                        {"qemu_version", version.to_string()}, {"accelerator", machine.accelerator == Accelerator::kvm ? "kvm" : "tcg"},
                        {"reason", verdict.sentence}};
    line["qemu_status"] = status && !status->signalled ? nlohmann::json(status->code) : nlohmann::json(nullptr);
    fmt::print("{}\n", line.dump());
  }
  return verdict;
}
}  // namespace octavo::tool
