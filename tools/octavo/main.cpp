// SPDX-License-Identifier: Apache-2.0
// The `octavo` command: a table of verbs.
#include "tools/octavo/verbs.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "tools/octavo/terminal.hpp"

std::vector<std::string>& octavo::tool::foreign_arguments() {
  static std::vector<std::string> arguments;
  return arguments;
}

std::string octavo::tool::short_failure(const CLI::App* app, const CLI::Error& error) {
  std::string command = app->get_name();
  for (const CLI::App* verb : app->get_subcommands()) command += " " + verb->get_name();
  return "octavo: " + std::string(error.what()) + "\n'" + command + " --help' says what there is\n";
}

namespace {
/// The first word if it names no verb.
std::optional<std::string_view> unknown_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  if (std::any_of(verbs.begin(), verbs.end(), [&](const CLI::App* verb) { return verb->get_name() == argv[1]; })) return std::nullopt;
  return argv[1];
}

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
  app.failure_message(tool::short_failure);

  int status = tool::k_exit_done;
  for (const auto add : {tool::add_build, tool::add_inspect, tool::add_iso, tool::add_run}) add(app, status);
  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return tool::k_exit_usage;
  }
  if (const auto verb = unknown_verb(app, argc, argv)) {
    tool::report_error(std::string("octavo: there is no command '") + std::string(*verb) + "'; 'octavo --help' lists them");
    return tool::k_exit_usage;
  }
  const auto separator = std::find_if(argv, argv + argc, [](const char* word) { return std::strcmp(word, "--") == 0; });
  if (separator != argv + argc) tool::foreign_arguments().assign(separator + 1, argv + argc);
  try {
    app.parse(static_cast<int>(separator - argv), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tool::k_exit_done : tool::k_exit_usage;
  }
  return status;
}
