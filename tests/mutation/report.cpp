// SPDX-License-Identifier: Apache-2.0
#include "tests/mutation/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace octavo::mutation {

void Tally::add(Fate fate, bool is_equivalent) {
  ++all;
  if (is_killed(fate)) ++killed;
  else if (is_equivalent) ++equivalent;
  else if (fate == Fate::survived) ++survived;
  else ++not_reached;
  if (fate == Fate::time_limit) ++by_time;
  if (fate == Fate::memory_limit) ++by_memory;
}

namespace {
std::string row(const std::string& name, const Tally& tally) {
  return fmt::format("{:<22} {:>8} {:>7} {:>9} {:>12} {:>11} {:>7.1f} %\n", name, tally.all, tally.killed, tally.survived, tally.not_reached,
                     tally.equivalent, tally.score());
}
}  // namespace

std::string describe(const std::vector<Verdict>& verdicts, const Equivalent& equivalent, const std::vector<Site>& all) {
  std::map<std::string, Tally> files;
  Tally total;
  std::string lived, explained, wrong;
  for (const Verdict& verdict : verdicts) {
    const auto listed = equivalent.find(verdict.site.name());
    const bool is_equivalent = listed != equivalent.end();
    files[verdict.site.file].add(verdict.fate, is_equivalent);
    total.add(verdict.fate, is_equivalent);
    const std::string line = fmt::format("{}:{}: {}: {}", verdict.site.file, verdict.site.line, verdict.site.function, verdict.site.what);
    if (is_killed(verdict.fate)) {
      if (is_equivalent) wrong += fmt::format("  killed by '{}': {}\n", verdict.test, line);
    } else if (is_equivalent) {
      explained += fmt::format("  {}\n      {}\n", line, listed->second);
    } else {
      lived += fmt::format("  {:<11} {}\n", to_string(verdict.fate), line);
    }
  }
  for (const auto& [name, reason] : equivalent) {
    if (std::ranges::none_of(all, [&](const Site& site) { return site.name() == name; })) wrong += "  there is no such mutant: " + name + "\n";
  }
  std::string out = fmt::format("{:<22} {:>8} {:>7} {:>9} {:>12} {:>11} {:>9}\n", "file", "mutants", "killed", "survived", "not reached", "equivalent", "score");
  for (const auto& [file, tally] : files) out += row(file, tally);
  out += row("all", total);
  out += fmt::format("Of the killed, {} by the time limit and {} by the memory limit.\n", total.by_time, total.by_memory);
  if (!lived.empty()) out += "\nSurvivors:\n" + lived;
  if (!explained.empty()) out += "\nEquivalent, as equivalent.txt says (not counted as killed):\n" + explained;
  if (!wrong.empty()) out += "\nequivalent.txt is wrong about:\n" + wrong;
  return out;
}

void write_json(const std::string& path, const std::vector<Verdict>& verdicts, const Equivalent& equivalent, const Options& options) {
  nlohmann::ordered_json mutants = nlohmann::ordered_json::array();
  Tally total;
  for (const Verdict& verdict : verdicts) {
    const bool is_equivalent = equivalent.contains(verdict.site.name());
    total.add(verdict.fate, is_equivalent);
    mutants.push_back({{"name", verdict.site.name()}, {"file", verdict.site.file}, {"line", verdict.site.line}, {"fate", to_string(verdict.fate)},
                       {"lived", !is_killed(verdict.fate)}, {"equivalent", is_equivalent}, {"test", verdict.test}});
  }
  const nlohmann::ordered_json all{{"score", total.score()},       {"mutants", total.all},         {"killed", total.killed},
                                   {"survived", total.survived},   {"not_reached", total.not_reached}, {"equivalent", total.equivalent},
                                   {"property_cases", options.cases}, {"property_seed", options.seed}, {"verdicts", mutants}};
  std::ofstream file(path);
  file << all.dump(1) << "\n";
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::set<std::string> read_survivors(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::set<std::string> names;
  const auto all = nlohmann::json::parse(file);
  for (const auto& verdict : all.at("verdicts")) {
    if (verdict.at("lived").get<bool>()) names.insert(verdict.at("name").get<std::string>());
  }
  return names;
}
}  // namespace octavo::mutation
