// SPDX-License-Identifier: Apache-2.0
// The `octavo` command: a table of verbs.
#include "tools/octavo/verbs.hpp"

#include <algorithm>
#include <cstring>

std::vector<std::string>& octavo::tool::foreign_arguments() {
  static std::vector<std::string> arguments;
  return arguments;
}

namespace {
/// `octavo --connect ...` is no verb: the options come first, as with virsh.
bool is_connect(int argc, char** argv) {
  if (argc < 2 || argv[1][0] != '-') return false;
  return std::any_of(argv + 1, argv + argc, [](const char* word) {
    return std::strcmp(word, "--connect") == 0 || std::strncmp(word, "--connect=", 10) == 0;
  });
}
}  // namespace

int main(int argc, char** argv) {
  namespace tool = octavo::tool;
  if (is_connect(argc, argv)) return tool::connect(argc, argv);
  CLI::App app{"Octavo, a microhypervisor: build domain images, boot them, look at them", "octavo"};
  app.set_version_flag("--version", "octavo " OCTAVO_VERSION);
  app.require_subcommand(1);
  app.footer("octavo --connect WHERE COMMAND... speaks to a running hypervisor; octavo --connect WHERE --help says how.");
  app.failure_message(CLI::FailureMessage::help);

  int status = tool::k_exit_done;
  for (const auto add : {tool::add_build, tool::add_inspect, tool::add_iso, tool::add_run}) add(app, status);
  const auto separator = std::find_if(argv, argv + argc, [](const char* word) { return std::strcmp(word, "--") == 0; });
  if (separator != argv + argc) tool::foreign_arguments().assign(separator + 1, argv + argc);
  try {
    app.parse(static_cast<int>(separator - argv), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tool::k_exit_done : tool::k_exit_usage;
  }
  return status;
}
