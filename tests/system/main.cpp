// SPDX-License-Identifier: Apache-2.0
// octavo-system-test [--list] [--filter TEXT] [--layers 2,3] [--jobs N]: runs the cases, a TAP-like line each, and ends with
// `N passed, N failed`. Exit status 1 if one failed or none ran. Logs are kept in BUILD/system-logs/NAME.log.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/system/case.hpp"

namespace octavo::system_test {
namespace {
namespace fs = std::filesystem;

struct Tally {
  std::mutex lock;
  std::size_t passed = 0, failed = 0;
};

void run_one(const Case& one, std::size_t number, const fs::path& build, Tally& tally) {
  const auto begin = std::chrono::steady_clock::now();
  std::string trouble;
  try {
    one.body(Bench{build, OCTAVO_SOURCE_DIR, build / "system-logs" / (one.name + ".log")});
  } catch (const Unexpected& unexpected) {
    trouble = unexpected.sentence;
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::lock_guard guard{tally.lock};
  fmt::print("{} {} - {} ({:.1f} s)\n", trouble.empty() ? "ok" : "not ok", number, one.name, seconds);
  for (std::size_t at = 0; at < trouble.size();) {
    const auto end = std::min(trouble.find('\n', at), trouble.size());
    fmt::print("#   {}\n", trouble.substr(at, end - at));
    at = end + 1;
  }
  std::fflush(stdout);
  ++(trouble.empty() ? tally.passed : tally.failed);
}
}  // namespace
}  // namespace octavo::system_test

int main(int argc, char** argv) {
  using namespace octavo::system_test;
  std::string build = OCTAVO_BUILD_DIR, filter;
  std::vector<int> layers{2, 3, 4};
  unsigned jobs = 2;
  bool list = false;
  CLI::App app{"Octavo's system tests: whole machines in QEMU and Bochs", "octavo-system-test"};
  app.add_flag("--list", list, "print the names and run nothing");
  app.add_option("--filter", filter, "only cases whose name contains TEXT");
  app.add_option("--layers", layers, "only these of 2, 3, 4")->delimiter(',');
  app.add_option("--jobs", jobs, "machines at a time")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--build", build, "the build folder")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::vector<Case> cases;
  // The long ones first: the short ones keep every processor busy until the end.
  add_bochs_cases(cases);
  add_memory_cases(cases);
  add_linux_cases(cases);
  add_command_cases(cases);
  add_boot_cases(cases);
  add_channel_cases(cases);
  add_guest_cases(cases, build);
  add_image_cases(cases);
  std::erase_if(cases, [&](const Case& one) {
    return one.name.find(filter) == std::string::npos || std::find(layers.begin(), layers.end(), one.layer) == layers.end();
  });
  if (list) {
    for (const Case& one : cases) fmt::print("L{} {}\n", one.layer, one.name);
    return 0;
  }

  std::filesystem::create_directories(std::filesystem::path{build} / "system-logs");
  fmt::print("1..{}\n", cases.size());
  Tally tally;
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> workers;
  for (unsigned worker = 0; worker < jobs; ++worker) {
    workers.emplace_back([&] {
      for (std::size_t index = next++; index < cases.size(); index = next++) run_one(cases[index], index + 1, build, tally);
    });
  }
  workers.clear();
  fmt::print("{} passed, {} failed\n", tally.passed, tally.failed);
  return tally.failed == 0 && tally.passed != 0 ? 0 : 1;
}
