// SPDX-License-Identifier: Apache-2.0
#include "tests/mutation/campaign.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/mutation/runtime/octavo_mutant.hpp"
#include "tools/octavo/run/process.hpp"

namespace octavo::mutation {
namespace {
using namespace std::chrono_literals;
constexpr int k_status_memory = 99;  // runtime/octavo_mutant.cpp

tool::Captured capture(const std::vector<std::string>& argv, std::chrono::milliseconds limit) {
  auto captured = tool::capture(argv, limit);
  if (!captured) throw std::runtime_error("cannot run " + tool::shell_quoted(argv));
  return std::move(*captured);
}

/// A test case's name as Catch2's command line wants it.
std::string escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == ',' || c == '[' || c == ']' || c == '*' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// A time limit is one of processor time, so that a busy machine kills no mutant. What sleeps for ever is ended after `k_longest`.
constexpr auto k_longest = 60min;

/// `env` sets what the run time reads. Address space beyond what any simulated machine needs is refused; the run time watches what
/// is resident.
tool::Captured run_test(const Options& options, const TestCase& test, int mutant, const std::string& reached, std::chrono::seconds limit) {
  std::vector<std::string> argv{"env", "OCTAVO_MUTANT=" + std::to_string(mutant), "OCTAVO_MUTANT_MEMORY=" + std::to_string(options.memory_mib),
                                "RC_PARAMS=noshrink=1 seed=" + std::to_string(options.seed) + " max_success=" + std::to_string(options.cases)};
  if (!reached.empty()) argv.push_back("OCTAVO_MUTANT_REACHED=" + reached);
  const std::string cpu = "--cpu=" + std::to_string(limit.count());
  argv.insert(argv.end(), {"prlimit", "--as=274877906944", "--core=0", cpu, test.executable, escaped(test.name), "--abort"});
  return capture(argv, k_longest);
}

/// What all children that have ended have used of a processor.
std::chrono::milliseconds used_by_children() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto of = [](const timeval& time) { return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec); };
  return std::chrono::duration_cast<std::chrono::milliseconds>(of(usage.ru_utime) + of(usage.ru_stime));
}

Verdict judge(const Options& options, const std::vector<TestCase>& tests, const Site& site) {
  Verdict verdict{site, Fate::not_reached, ""};
  for (const TestCase& test : tests) {
    if (!test.reaches[static_cast<std::size_t>(site.id)]) continue;
    verdict.fate = Fate::survived;
    // An endless loop has no other sign than time. What takes this long for a reason would be a failure, too. At the hard limit
    // the kernel sends SIGKILL.
    const auto ended = run_test(options, test, site.id, "", std::chrono::ceil<std::chrono::seconds>(5s + 10 * test.took));
    const bool by_time = ended.timed_out || (ended.status.signalled && (ended.status.code == SIGXCPU || ended.status.code == SIGKILL));
    if (!ended.timed_out && ended.status.is_success()) continue;
    verdict.test = test.name;
    verdict.fate = by_time                                                              ? Fate::time_limit
                   : !ended.status.signalled && ended.status.code == k_status_memory ? Fate::memory_limit
                                                                                      : Fate::killed;
    return verdict;
  }
  return verdict;
}
}  // namespace

const char* to_string(Fate fate) {
  switch (fate) {
    case Fate::killed: return "killed";
    case Fate::time_limit: return "killed by the time limit";
    case Fate::memory_limit: return "killed by the memory limit";
    case Fate::survived: return "survived";
    case Fate::not_reached: return "not reached";
  }
  return "?";
}

std::vector<TestCase> measure(const Options& options, const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<TestCase> tests;
  for (const std::string& executable : options.executables) {
    // The number of tests is its exit status.
    std::istringstream names(capture({executable, "--list-test-names-only"}, 60s).output);
    const std::size_t before = tests.size();
    for (std::string name; std::getline(names, name);) {
      if (!name.empty()) tests.push_back({executable, name, {}, {}});
    }
    if (tests.size() == before) throw std::runtime_error(executable + " has no test case");
  }
  const std::string reached = options.scratch + "/reached";
  for (std::size_t i = 0; i < tests.size(); ++i) {
    progress(i, tests.size());
    TestCase& test = tests[i];
    std::ofstream(reached).flush();
    const auto before_it = used_by_children();
    const auto ended = run_test(options, test, 0, reached, 20min);
    test.took = used_by_children() - before_it;
    if (ended.timed_out || !ended.status.is_success()) {
      throw std::runtime_error("'" + test.name + "' fails without any mutant (" + ended.status.describe() + "):\n" + ended.output);
    }
    test.reaches.resize(octavo_mutation::k_most);
    std::ifstream file(reached);
    for (std::size_t number = 0; file >> number;) test.reaches[number] = true;
  }
  std::ranges::stable_sort(tests, {}, &TestCase::took);
  return tests;
}

std::vector<Verdict> run(const Options& options, const std::vector<TestCase>& tests, const std::vector<Site>& mutants,
                         const std::function<void(const Verdict&)>& verdict) {
  std::vector<Verdict> verdicts(mutants.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<std::string> problem;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < mutants.size(); i = next++) {
        Verdict decided = judge(options, tests, mutants[i]);
        const std::scoped_lock lock(mutex);
        verdict(decided);
        verdicts[i] = std::move(decided);
      }
    } catch (const std::exception& error) {
      const std::scoped_lock lock(mutex);
      problem = error.what();
      next = mutants.size();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned n = 0; n < options.jobs; ++n) threads.emplace_back(work);
  }
  if (problem) throw std::runtime_error(*problem);
  return verdicts;
}
}  // namespace octavo::mutation
