// SPDX-License-Identifier: Apache-2.0
// The list of all mutants, as octavo-instrument writes it and octavo-mutate reads it; and the list of those that change nothing that
// anybody could see (equivalent.txt).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "tests/mutation/instrument.hpp"

namespace octavo::mutation {

void write_sites(const std::string& path, const std::vector<Site>& sites);
/// Throws std::runtime_error.
std::vector<Site> read_sites(const std::string& path);

/// From a mutant's name to the reason. A file of names, one a line; the lines with # above them are the reason for all that follow, up
/// to an empty line or the next reason. Throws std::runtime_error when a name has no reason.
std::map<std::string, std::string> read_equivalent(const std::string& path);
}  // namespace octavo::mutation
