// SPDX-License-Identifier: Apache-2.0
// A system test: a name, a layer, and a function that runs whole machines and throws a sentence when one does not do what
// was expected. Cases share nothing but read-only files, so they may run side by side.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace octavo::system_test {

using Words = std::vector<std::string>;

/// Thrown by the expect functions: what was expected and what was there instead.
struct Unexpected {
  std::string sentence;
};

/// What one command did. `output` is its console (standard output and error), without carriage returns.
struct Ran {
  int status = 0;
  bool timed_out = false;
  std::string output;

  const Ran& expect_status(int wanted) const;
  const Ran& expect_text(std::string_view text) const;
  const Ran& expect_no_text(std::string_view text) const;
  const Ran& expect_in_order(const std::vector<std::string>& texts) const;
};

/// Where things are, and how a case runs a command. Each command is added to the case's own log file.
class Bench {
 public:
  Bench(std::filesystem::path build, std::filesystem::path source, std::filesystem::path log);
  [[nodiscard]] const std::filesystem::path& build() const { return build_; }
  [[nodiscard]] const std::filesystem::path& source() const { return source_; }
  /// A folder of this case's own for files it makes.
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  /// Any command; killed (and the case failed) when the limit passes.
  [[nodiscard]] Ran command(const Words& argv, std::chrono::seconds limit) const;
  /// `octavo WORDS...`
  [[nodiscard]] Ran octavo(const Words& words, std::chrono::seconds limit = std::chrono::seconds{60}) const;
  /// `octavo run WORDS...` on the emulator, with --timeout.
  [[nodiscard]] Ran run(const Words& words, std::chrono::seconds limit = std::chrono::seconds{60}) const;
  /// Like run, with a person at the console: each step waits for a text that comes after the last one's, then types.
  struct Step {
    std::string wait, type;
  };
  [[nodiscard]] Ran converse(const Words& words, std::chrono::seconds limit, const std::vector<Step>& steps) const;

 private:
  void write_log(const Words& argv, const Ran& ran) const;
  std::filesystem::path build_, source_, log_, folder_;
};

struct Case {
  std::string name;
  int layer;  ///< 2, 3 or 4 as in docs/testing.md
  std::function<void(const Bench&)> body;
};

void add_command_cases(std::vector<Case>& cases);  ///< `octavo iso` and `octavo run` themselves
void add_boot_cases(std::vector<Case>& cases);     ///< L2
void add_guest_cases(std::vector<Case>& cases, const std::filesystem::path& build);  ///< L3: one for each micro guest that was built
void add_image_cases(std::vector<Case>& cases);    ///< L4: bad domain images beside a good one
void add_linux_cases(std::vector<Case>& cases);    ///< L4: Debian's kernel
void add_channel_cases(std::vector<Case>& cases);  ///< L4: the operator channel
void add_bochs_cases(std::vector<Case>& cases);    ///< L2 to L4 in another emulator
void add_memory_cases(std::vector<Case>& cases);   ///< L4: populate on demand, 1G leaves, rounds of birth and end

[[noreturn]] void fail_case(std::string sentence);
}  // namespace octavo::system_test
