// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/connect/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace octavo::tool {
namespace {
using Json = nlohmann::ordered_json;

constexpr std::string_view k_bytes = "_bytes";

struct Column {
  std::string key, title;
  std::size_t width = 0;
  bool numbers = true;
};

std::string harmless(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

/// 512M, 12K, 100: exact, so that it can be typed into a TOML file.
std::string with_unit(std::uint64_t bytes) {
  constexpr std::string_view units = "KMGT";
  std::size_t unit = 0;
  while (unit < units.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{}", bytes) : fmt::format("{}{}", bytes, units[unit - 1]);
}

std::string cell(const Json& row, const std::string& key) {
  if (!row.contains(key)) return "-";
  const Json& value = row[key];
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_unsigned() && key.ends_with(k_bytes)) return with_unit(value.get<std::uint64_t>());
  return harmless(value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

/// As wide as a terminal shows it: continuation bytes of UTF-8 take no column.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::vector<Column> columns_of(const Json& rows) {
  std::vector<Column> columns;
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      if (std::none_of(columns.begin(), columns.end(), [&](const Column& c) { return c.key == key; })) {
        std::string title = harmless(key.ends_with(k_bytes) ? key.substr(0, key.size() - k_bytes.size()) : key);
        std::replace(title.begin(), title.end(), '_', '-');
        columns.push_back({key, title, width_of(title)});
      }
    }
  }
  for (Column& column : columns) {
    for (const Json& row : rows) {
      column.width = std::max(column.width, width_of(cell(row, column.key)));
      if (row.contains(column.key) && !row[column.key].is_number()) column.numbers = false;
    }
  }
  return columns;
}

std::string padded(const Column& column, const std::string& text, bool last) {
  const std::string fill(column.width - width_of(text), ' ');
  if (column.numbers) return fill + text;
  return last ? text : text + fill;
}

std::string one_table(const Json& rows, Colours colours) {
  const std::vector<Column> columns = columns_of(rows);
  std::string text;
  const auto line = [&](const auto& cell_of) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i != 0) text += "  ";
      text += padded(columns[i], cell_of(columns[i]), i + 1 == columns.size());
    }
  };
  if (colours == Colours::yes) text += "\033[1m";
  line([](const Column& column) { return column.title; });
  if (colours == Colours::yes) text += "\033[0m";
  text += '\n';
  for (const Json& row : rows) {
    line([&row](const Column& column) { return cell(row, column.key); });
    text += '\n';
  }
  return text;
}

bool is_rows(const Json& value) {
  return value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), [](const Json& row) { return row.is_object() && !row.empty(); });
}
}  // namespace

std::string answer_table(const Json& answer, Colours colours) {
  std::string text;
  if (answer.contains("message") && answer["message"].is_string()) text += harmless(answer["message"].get<std::string>()) + '\n';
  for (const auto& [name, value] : answer.items()) {
    if (!is_rows(value)) continue;
    if (!text.empty()) text += '\n';
    text += one_table(value, colours);
  }
  return text;
}
}  // namespace octavo::tool
