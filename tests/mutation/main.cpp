// SPDX-License-Identifier: Apache-2.0
// octavo-mutate: knocks out one statement or turns one condition of mm, p2m and pod at a time, and says which of these mutants no test
// notices. A figure, no gate: the exit status is 0 whatever the score, 1 when something could not be done, 2 for usage.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <random>

#include "tests/mutation/report.hpp"
#include "tests/mutation/sites.hpp"

namespace {
using namespace octavo::mutation;

std::vector<std::string> executables() {
  std::vector<std::string> paths;
  for (const std::string& name : CLI::detail::split(OCTAVO_MUTANT_TESTS, ',')) paths.push_back(OCTAVO_MUTANTS "/" + name);
  return paths;
}

/// One line on a terminal, written over and over; elsewhere about twenty lines in all, and those that lived.
void show_progress(std::size_t done, std::size_t total, const std::string& what) {
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r{}/{} {}\033[K", done, total, what);
  else if (done == total || done % (total / 20 + 1) == 0) fmt::print(stderr, "{}/{} {}\n", done, total, what);
}
}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Which mutants of mm, p2m and pod does no test notice?", "octavo-mutate"};
  Options options{.executables = executables(), .scratch = OCTAVO_MUTANTS};
  std::vector<std::string> only;
  std::string json, again;
  std::size_t sample = 0;
  unsigned seed = 1;
  bool list = false;
  app.add_option("--only", only, "only the mutants of these files, such as pod/pod.cpp");
  app.add_option("--again", again, "only the mutants that lived in this --json file")->check(CLI::ExistingFile);
  app.add_option("--sample", sample, "only so many of them, by chance")->check(CLI::PositiveNumber);
  app.add_option("--seed", seed, "of the choice, and of the properties")->capture_default_str();
  app.add_option("--cases", options.cases, "how many cases each property tries")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--jobs", options.jobs, "how many mutants run at a time")->capture_default_str()->check(CLI::Range(1, 2));
  app.add_option("--json", json, "also write all verdicts to this file");
  app.add_flag("--list", list, "list the mutants and run none");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "octavo-mutate: {}; see octavo-mutate --help\n", error.what());
    return 2;
  }
  options.seed = seed;
  try {
    const std::vector<Site> all = read_sites(OCTAVO_MUTANTS "/source/sites.json");
    const Equivalent equivalent = read_equivalent(OCTAVO_EQUIVALENT);
    for (const std::string& file : only) {
      if (std::ranges::any_of(all, [&](const Site& site) { return site.file == file; })) continue;
      fmt::print(stderr, "octavo-mutate: --only {}: there is no such file with mutants in mm, p2m and pod\n", file);
      return 2;
    }
    std::vector<Site> mutants;
    const std::set<std::string> lived = again.empty() ? std::set<std::string>() : read_survivors(again);
    std::ranges::copy_if(all, std::back_inserter(mutants), [&](const Site& site) {
      return (only.empty() || std::ranges::find(only, site.file) != only.end()) && (again.empty() || lived.contains(site.name()));
    });
    if (sample != 0) {
      std::vector<Site> chosen;
      std::ranges::sample(mutants, std::back_inserter(chosen), static_cast<std::ptrdiff_t>(sample), std::mt19937(seed));
      mutants = std::move(chosen);
    }
    if (list) {
      for (const Site& site : mutants) fmt::print("{}:{}: {}: {}\n", site.file, site.line, site.function, site.what);
      return 0;
    }
    setpriority(PRIO_PROCESS, 0, 10);
    const std::vector<TestCase> tests = measure(options, [](std::size_t done, std::size_t total) { show_progress(done, total, "test cases without a mutant"); });
    std::size_t done = 0;
    const auto verdicts = run(options, tests, mutants, [&](const Verdict& verdict) {
      ++done;
      const std::string what = fmt::format("{}:{}: {}", verdict.site.file, verdict.site.line, to_string(verdict.fate));
      if (!is_killed(verdict.fate) && isatty(STDERR_FILENO) == 0) fmt::print(stderr, "{}/{} {}: {}: {}\n", done, mutants.size(), what, verdict.site.function, verdict.site.what);
      else show_progress(done, mutants.size(), what);
    });
    if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
    fmt::print("{} mutants against {} test cases; {} cases of each property, seed {}\n", mutants.size(), tests.size(), options.cases, options.seed);
    fmt::print("{}", describe(verdicts, equivalent, all));
    if (!json.empty()) write_json(json, verdicts, equivalent, options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "octavo-mutate: {}\n", error.what());
    return 1;
  }
  return 0;
}
