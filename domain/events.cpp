// SPDX-License-Identifier: Apache-2.0
#include "domain/events.hpp"

#include "arch/x86/platform.hpp"

namespace octavo::domain {
namespace {
constinit Events the_events;
}  // namespace

Events& events() { return the_events; }

void Events::note(std::string_view domain, const char* what) {
  Event& event = kept_[++last_ % k_kept];
  event = {.number = last_, .uptime_ms = arch::uptime_ns() / 1'000'000, .domain = {}, .what = what};
  domain.copy(event.domain, OCTAVO_IMAGE_MAX_NAME);
}
}  // namespace octavo::domain
