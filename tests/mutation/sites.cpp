// SPDX-License-Identifier: Apache-2.0
#include "tests/mutation/sites.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace octavo::mutation {

void write_sites(const std::string& path, const std::vector<Site>& sites) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Site& site : sites) {
    all.push_back({{"id", site.id}, {"file", site.file}, {"line", site.line}, {"function", site.function}, {"what", site.what}});
  }
  std::ofstream(path) << all.dump(1) << "\n";
}

std::vector<Site> read_sites(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("there is no list of mutants at " + path + "; build the target octavo-mutants");
  std::vector<Site> sites;
  for (const auto& site : nlohmann::json::parse(file)) {
    sites.push_back({site.at("id"), site.at("file"), site.at("line"), site.at("function"), site.at("what")});
  }
  return sites;
}

std::map<std::string, std::string> read_equivalent(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::map<std::string, std::string> names;
  std::string reason;
  bool more_reason = false;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) {
      reason.clear();
      continue;
    }
    if (line.starts_with("#")) {
      if (!more_reason) reason.clear();
      more_reason = true;
      reason += (reason.empty() ? "" : " ") + line.substr(std::min(line.find_first_not_of("# "), line.size()));
      continue;
    }
    more_reason = false;
    if (reason.empty()) throw std::runtime_error(path + ": no reason is given for " + line);
    names[line] = reason;
  }
  return names;
}
}  // namespace octavo::mutation
