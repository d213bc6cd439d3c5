// SPDX-License-Identifier: Apache-2.0
// The verbs of the `octavo` command. Each lives in its own verb_<name>.cpp: add_<name> declares its options and a callback
// that sets `status` to the exit status: 0 done, 1 failed (`octavo run` has more, see there); wrong usage is 2, from main.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace octavo::tool {

inline constexpr int k_exit_done = 0;
inline constexpr int k_exit_failed = 1;
inline constexpr int k_exit_usage = 2;

/// What stood behind `--` on the command line: not ours, `octavo run` hands it to QEMU. Filled by main before it parses.
std::vector<std::string>& foreign_arguments();

void add_build(CLI::App& app, int& status);
void add_inspect(CLI::App& app, int& status);
void add_iso(CLI::App& app, int& status);
void add_run(CLI::App& app, int& status);

/// What a wrong command line is answered with: a line that says what is wrong and one that names the way out.
[[nodiscard]] std::string short_failure(const CLI::App* app, const CLI::Error& error);

/// `octavo --connect WHERE COMMAND...`: everything on this command line is its own. Returns the exit status.
int connect(int argc, char** argv);
}  // namespace octavo::tool
