// SPDX-License-Identifier: Apache-2.0
#include "domain/events.hpp"

#include <string>
#include <vector>

#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using domain::Events;

TEST_CASE("events: the last 64 are kept, numbers tell what was missed") {
  model::SimulatedMachine machine{u64{1} << 20};
  Events events;
  const auto since = [&events](u64 number) {
    std::vector<u64> numbers;
    events.for_each_since(number, [&](const Events::Event& event) { numbers.push_back(event.number); });
    return numbers;
  };
  CHECK(since(0).empty());
  machine.now_ns = 7'900'000;
  events.note("a domain whose name is longer than any name may be", "crashed");
  CHECK(since(0) == std::vector<u64>{1});
  CHECK(since(1).empty());
  events.for_each_since(0, [](const Events::Event& event) {
    CHECK(event.uptime_ms == 7);
    CHECK(std::string{event.domain} == "a domain whose name is longer t");
    CHECK(std::string{event.what} == "crashed");
  });
  for (int i = 0; i < 99; ++i) events.note("web", "running");
  CHECK(since(0).size() == Events::k_kept);
  CHECK(since(0).front() == 37);
  CHECK(since(0).back() == 100);
  CHECK(since(98) == std::vector<u64>{99, 100});
  CHECK(since(100).empty());
  CHECK(since(~u64{0}).empty());
}
