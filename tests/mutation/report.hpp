// SPDX-License-Identifier: Apache-2.0
// What came out: a table by file and a list of survivors for people, JSON for programs.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/mutation/campaign.hpp"

namespace octavo::mutation {

/// Counts of verdicts. The score is killed / (all - equivalent). An equivalent mutant counts as such only if it lived.
struct Tally {
  unsigned all = 0, killed = 0, by_time = 0, by_memory = 0, survived = 0, not_reached = 0, equivalent = 0;
  void add(Fate fate, bool is_equivalent);
  [[nodiscard]] double score() const { return all == equivalent ? 100.0 : 100.0 * killed / (all - equivalent); }
};

using Equivalent = std::map<std::string, std::string>;

/// `all` are the mutants that there are: an entry of the list that names none of them is out of date.
std::string describe(const std::vector<Verdict>& verdicts, const Equivalent& equivalent, const std::vector<Site>& all);
void write_json(const std::string& path, const std::vector<Verdict>& verdicts, const Equivalent& equivalent, const Options& options);
/// The names of those that lived, out of what write_json wrote.
std::set<std::string> read_survivors(const std::string& path);
}  // namespace octavo::mutation
