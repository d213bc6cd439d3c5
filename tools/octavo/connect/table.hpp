// SPDX-License-Identifier: Apache-2.0
// An answer of the operator channel for people: its message, and each array of rows as a table with the rows' own columns.
// A column `x_bytes` is shown as x with a unit.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace octavo::tool {

enum class Colours { no, yes };

/// Text of whole lines; empty if there is nothing to show. Control characters in values are shown as '?'.
std::string answer_table(const nlohmann::ordered_json& answer, Colours colours);
}  // namespace octavo::tool
