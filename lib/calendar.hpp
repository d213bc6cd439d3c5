// SPDX-License-Identifier: Apache-2.0
// The Gregorian calendar: days since 1970-01-01 to a date and back, for any year, before 1970 too.
#pragma once
#include "lib/int.hpp"

namespace octavo {

struct Date {
  i64 year;
  unsigned month;  ///< 1..12
  unsigned day;    ///< 1..31
  constexpr bool operator==(const Date&) const = default;
};

[[nodiscard]] constexpr i64 floor_div(i64 a, i64 b) { return a / b - (a % b < 0 ? 1 : 0); }
[[nodiscard]] constexpr i64 floor_mod(i64 a, i64 b) { return a - floor_div(a, b) * b; }

[[nodiscard]] constexpr bool is_leap_year(i64 year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

[[nodiscard]] constexpr unsigned days_before_month(i64 year, unsigned month) {
  constexpr u16 before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
  return before[month - 1] + (month > 2 && is_leap_year(year) ? 1U : 0U);
}

/// Days from 1970-01-01 to January 1st of year.
[[nodiscard]] constexpr i64 days_before_year(i64 year) {
  const i64 y = year - 1;
  return 365 * (year - 1970) + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 477;
}

/// month is 1..12; a day beyond the month's end runs on into the next.
[[nodiscard]] constexpr i64 to_days(Date date) {
  return days_before_year(date.year) + days_before_month(date.year, date.month) + date.day - 1;
}

[[nodiscard]] constexpr Date to_date(i64 days) {
  i64 year = 1970 + floor_div(days * 400, 146'097);  // 146,097 days in 400 years; off by one at most
  while (days < days_before_year(year)) --year;
  while (days >= days_before_year(year + 1)) ++year;
  const auto in_year = static_cast<unsigned>(days - days_before_year(year));
  unsigned month = 12;
  while (in_year < days_before_month(year, month)) --month;
  return {year, month, in_year - days_before_month(year, month) + 1};
}

static_assert(days_before_year(1970) == 0 && to_days({2000, 3, 1}) == 11'017 && to_date(19'782) == Date{2024, 2, 29});
}  // namespace octavo
