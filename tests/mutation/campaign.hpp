// SPDX-License-Identifier: Apache-2.0
// Runs mutants against test cases. Each test case is first run once without a mutant: how long it takes, and which places it reaches. A
// mutant then meets the test cases that reach it, the quickest first, until one fails.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/mutation/instrument.hpp"

namespace octavo::mutation {

struct TestCase {
  std::string executable;
  std::string name;
  std::chrono::milliseconds took{0};  ///< of a processor's time: others may be using the machine
  std::vector<bool> reaches;  ///< by mutant's number
};

enum class Fate { killed, time_limit, memory_limit, survived, not_reached };
[[nodiscard]] const char* to_string(Fate fate);
[[nodiscard]] inline bool is_killed(Fate fate) { return fate == Fate::killed || fate == Fate::time_limit || fate == Fate::memory_limit; }

struct Verdict {
  Site site;
  Fate fate = Fate::not_reached;
  std::string test;  ///< that killed it
};

struct Options {
  std::vector<std::string> executables;
  std::string scratch;      ///< a folder for files of our own
  unsigned jobs = 2;
  unsigned cases = 100;     ///< of each RapidCheck property
  unsigned seed = 1;        ///< of RapidCheck
  unsigned memory_mib = 3072;
};

/// All test cases of all executables. Throws std::runtime_error when one fails without a mutant. `progress(done, total)`.
std::vector<TestCase> measure(const Options& options, const std::function<void(std::size_t, std::size_t)>& progress);

/// `verdict` is called for each mutant as it is decided, by one thread at a time.
std::vector<Verdict> run(const Options& options, const std::vector<TestCase>& tests, const std::vector<Site>& mutants,
                         const std::function<void(const Verdict&)>& verdict);
}  // namespace octavo::mutation
