// SPDX-License-Identifier: Apache-2.0
// What has happened to domains, for whoever asks later: the last events with their numbers, so that a program that asks for those since the
// last that it has seen misses none, or knows that it did. Used by the main loop's CPU.
#pragma once
#include <array>
#include <string_view>

#include "include/octavo/domain_image.h"
#include "lib/int.hpp"

namespace octavo::domain {

class Events {
 public:
  struct Event {
    u64 number = 0;
    u64 uptime_ms = 0;
    char domain[OCTAVO_IMAGE_MAX_NAME + 1] = {};
    const char* what = "";
  };
  static constexpr usize k_kept = 64;

  /// `what` outlives everything.
  void note(std::string_view domain, const char* what);
  /// f(Event) for those that are kept and have a number above `since`, oldest first.
  void for_each_since(u64 since, auto&& f) const {
    for (u64 number = last_ > k_kept ? last_ - k_kept + 1 : 1; number <= last_; ++number) {
      if (number > since) f(kept_[number % k_kept]);
    }
  }

 private:
  std::array<Event, k_kept> kept_{};
  u64 last_ = 0;
};

[[nodiscard]] Events& events();
}  // namespace octavo::domain
