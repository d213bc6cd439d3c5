// SPDX-License-Identifier: Apache-2.0
// octavo --connect SOCKET|DEVICE [--json] [--timeout SECONDS] COMMAND...
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

#include "tools/octavo/connect/endpoint.hpp"
#include "tools/octavo/connect/request.hpp"
#include "tools/octavo/connect/table.hpp"
#include "tools/octavo/terminal.hpp"
#include "tools/octavo/verbs.hpp"

namespace octavo::tool {
namespace {
constexpr int k_exit_no_connection = 3;

constexpr const char* k_footer =
    "COMMAND is one of the hypervisor's operator commands; `help` lists them.\n"
    "Exit status: 0 done, 1 the command failed, 2 usage, 3 no connection, or no answer in time.";

struct Options {
  std::string endpoint;
  std::vector<std::string> words;
  double limit_seconds = 10;
  bool json = false;
};

int speak(const Options& options) {
  const Outcome<std::string> command = command_line(options.words);
  if (!command) {
    report_error("octavo: " + command.error());
    return k_exit_usage;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const std::chrono::milliseconds limit{static_cast<long long>(options.limit_seconds * 1000)};
  const Outcome<Descriptor> line = open_endpoint(options.endpoint, limit);
  if (!line) {
    report_error("octavo: " + line.error());
    return k_exit_no_connection;
  }
  const Outcome<ChannelAnswer> answer = request(line->get(), *command, random_request_id(), limit);
  if (!answer) {
    report_error(fmt::format("octavo: {}: {}", options.endpoint, answer.error()));
    return k_exit_no_connection;
  }
  if (options.json) fmt::print("{}\n", answer->line);
  else fmt::print("{}", answer_table(answer->json, wants_colours(STDOUT_FILENO) ? Colours::yes : Colours::no));
  if (answer->ok()) return k_exit_done;
  const auto why = answer->json.find("error");
  report_error(fmt::format("{}: {}", options.words.front(), why != answer->json.end() && why->is_string() ? why->get<std::string>() : "failed, and does not say why"));
  return k_exit_failed;
}
}  // namespace

int connect(int argc, char** argv) {
  CLI::App app{"Speak to a running Octavo over its operator channel", "octavo"};
  Options options;
  app.footer(k_footer);
  app.failure_message(short_failure);
  app.add_option("--connect", options.endpoint, "a UNIX socket, a serial device or pseudo-terminal, or tcp:HOST:PORT on the loopback")->type_name("WHERE")->required();
  app.add_option("--timeout", options.limit_seconds, "give up after so many seconds")->type_name("SECONDS")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_flag("--json", options.json, "the answer as the hypervisor gave it: one line of JSON");
  app.add_option("command", options.words, "an operator command and its words")->type_name("COMMAND")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? k_exit_done : k_exit_usage;
  }
  return speak(options);
}
}  // namespace octavo::tool
