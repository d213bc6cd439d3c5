// SPDX-License-Identifier: Apache-2.0
#include "mm/mapping.hpp"

#include <catch2/catch.hpp>
#include <utility>

#include "tests/model/machine.hpp"

using namespace octavo;

namespace {
constexpr u64 k_mib = u64{1} << 20;
}

TEST_CASE("F5: a mapping covers its frames, and an index beyond them stops the machine") {
  model::SimulatedMachine simulated(k_mib);
  const mm::Mapping<u64> mapping(Mfn{3}, 2);
  CHECK(mapping.size() == 1024);
  CHECK(mapping.span().size() == 1024);
  mapping[1023] = 7;
  CHECK(simulated.read64(Hpa{5 * k_page_size - 8}) == 7);
  CHECK_THROWS_AS(mapping[1024], model::Panic);
}

TEST_CASE("F5: a mapping that is moved is closed once") {
  model::SimulatedMachine simulated(k_mib);
  {
    mm::Mapping<u64> first(Mfn{1});
    mm::Mapping<u64> second(std::move(first));
    CHECK(simulated.mapped_windows == 1);
    mm::Mapping<u64> third(Mfn{2}, 3);
    second[0] = 11;
    third[0] = 22;
    third = std::move(second);
    CHECK(third[0] == 11);
    CHECK(third.size() == 512);
    CHECK(simulated.mapped_windows == 2);
  }
  CHECK(simulated.mapped_windows == 0);
}

TEST_CASE("F4: zeroing and copying reach every frame of a folio, and none beside it") {
  for (const Order order : {k_order_4k, Order{3}, k_order_2m, Order{11}}) {
    model::SimulatedMachine simulated(64 * k_mib);
    const Mfn from{order.frames()}, to{2 * order.frames()};
    const auto word = [&](Mfn mfn) -> u64& { return *reinterpret_cast<u64*>(simulated.at(to_hpa(mfn + 1)) - 8); };
    for (u64 i = 0; i < 4 * order.frames(); ++i) word(Mfn{i}) = i + 1;
    mm::copy_frames(to, from, order);
    for (u64 i = 0; i < order.frames(); ++i) REQUIRE(word(to + i) == word(from + i));
    CHECK(word(to + order.frames()) == 3 * order.frames() + 1);
    mm::zero_frames(to, order);
    for (u64 i = 0; i < order.frames(); ++i) REQUIRE(word(to + i) == 0);
    CHECK(word(to - 1) != 0);
    CHECK(word(to + order.frames()) != 0);
    CHECK(simulated.mapped_windows == 0);
  }
}

TEST_CASE("F6: no window is larger than 2 MiB") {
  model::SimulatedMachine simulated(64 * k_mib);
  int windows = 0;
  simulated.on_map = [&](Mfn) { ++windows; };
  mm::zero_frames(Mfn{0}, Order{11});
  CHECK(windows == 4);
  mm::copy_frames(Mfn{0}, Mfn{2048}, Order{11});
  CHECK(windows == 4 + 8);
}
