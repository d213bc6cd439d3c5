// SPDX-License-Identifier: Apache-2.0
// Random sequences of every operation on a p2m and on memory that is populated on demand (tests/model/script.hpp says what is checked after
// each step). OCTAVO_STEPS=N makes each property take about N steps instead of k_steps; RC_PARAMS="seed=S" repeats a run.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <rapidcheck.h>

#include "tests/model/script.hpp"

using namespace octavo;
using model::MemoryScript;
using p2m::Paging;
using p2m::Type;
using Kind = MemoryScript::Kind;

namespace {
constexpr u64 k_steps = 5'000;
constexpr u64 k_steps_of_a_sequence = 100;  // on average

/// RapidCheck reads its parameters once; this has to come before its first use.
void apply_steps() {
  static const bool once = [] {
    const char* wanted = std::getenv("OCTAVO_STEPS");
    const char* given = std::getenv("RC_PARAMS");
    const u64 steps = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : k_steps;
    const u64 sequences = std::max<u64>(steps / k_steps_of_a_sequence, 1);
    const std::string parameters = "max_success=" + std::to_string(sequences) + " " + (given != nullptr ? given : "");
    return ::setenv("RC_PARAMS", parameters.c_str(), 1) == 0;
  }();
  REQUIRE(once);
}

/// Sequences that shrink by leaving steps out.
void follow(Kind kind, Paging paging) {
  apply_steps();
  std::map<std::string, u64> effective;
  const bool passed = rc::check("memory follows the oracle", [&] {
    const auto word = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<u64>());
    const u64 setup = *rc::gen::noShrink(word);
    const auto steps = *rc::gen::resize(2 * k_steps_of_a_sequence, rc::gen::container<std::vector<u64>>(rc::gen::noShrink(word)));
    MemoryScript script(kind, paging, setup);
    try {
      for (const u64 step : steps) {
        script.step(step);
        RC_LOG() << script.last() << "\n";
      }
      script.finish(std::array<u64, 3>{50, 700, ~u64{0}}[setup % 3]);
    } catch (const std::runtime_error& broken) {
      if (std::getenv("OCTAVO_COUNT") != nullptr) std::fprintf(stderr, "%s\n", broken.what());
      RC_FAIL(broken.what());
    }
    for (const auto& [name, times] : script.effective()) effective[name] += times;
    effective["steps"] += script.steps();
  });
  if (std::getenv("OCTAVO_COUNT") != nullptr) for (const auto& [name, times] : effective) std::fprintf(stderr, "%8llu %s\n", static_cast<unsigned long long>(times), name.c_str());
  CHECK(passed);
  // No operation is there for show; a short run may miss a rare one.
  if (effective["steps"] < 10 * k_steps) return;
  for (const std::string& name : MemoryScript::names(kind)) {
    INFO("never effective: " << name);
    CHECK(effective[name] > 0);
  }
}
}  // namespace

TEST_CASE("the oracle itself: putting nothing changes nothing, and what lies behind a put stays") {
  model::Oracle oracle;
  oracle.put(100, 50, {Type::ram_rw, 7000});
  for (const u64 gfn : {99u, 100u, 120u, 149u, 150u}) {
    const model::GuestState before = oracle.at(gfn);
    oracle.put(gfn, 0, {});
    CHECK(oracle.at(gfn) == before);
  }
  oracle.put(110, 10, {});
  CHECK(oracle.at(109) == model::GuestState{Type::ram_rw, 7009});
  CHECK(oracle.at(110) == model::GuestState{});
  CHECK(oracle.at(120) == model::GuestState{Type::ram_rw, 7020});
  CHECK(oracle.frames(1000, p2m::is_ram) == 40);
  oracle.put(110, 10, {Type::ram_rw, 7010});
  CHECK(oracle.edges() == std::vector<u64>{99, 100, 149, 150});  // one run again
}

// The guest writes to the last frame of what is moved, at every moment: the new leaf may be there already when the move has yet to end.
TEST_CASE("the oracle itself: what is written in the middle of a move is expected where it was written") {
  enum : u64 { populate_ram = 4, split = 9, begin_move = 16, continue_move = 17 };  // of the plain operations
  // At gfn 0, 512 frames; the fifth byte: when another processor does what, then the operation's own choice.
  const auto instruction = [](u64 operation, u64 meanwhile, u64 choice) { return operation | u64{8} << 24 | meanwhile << 32 | choice << 40; };
  u64 moves = 0;
  for (const Paging paging : {Paging::npt, Paging::ept}) {
    for (u64 meanwhile = 176; meanwhile < 192; ++meanwhile) {
      MemoryScript script(Kind::plain, paging, 0x2'0000'0107);  // 2 GiB, room for tables, all orders
      script.step(instruction(populate_ram, 0, 0));
      script.step(instruction(split, 95, 0));  // after it the guest writes to the last frame
      script.step(instruction(begin_move, 0, 0));
      script.step(instruction(continue_move, 0, 3));  // all but the last frame
      script.step(instruction(continue_move, meanwhile, 5));
      script.step(instruction(split, 94, 0));  // after it the guest reads it
      moves += script.effective().contains("continue_move") ? 1u : 0u;
      script.finish(~u64{0});
    }
  }
  CHECK(moves == 2 * 16);
}

TEST_CASE("P1-P15: random sequences of every operation: NPT") { follow(Kind::plain, Paging::npt); }
TEST_CASE("P1-P15: random sequences of every operation: EPT") { follow(Kind::plain, Paging::ept); }
TEST_CASE("D1-D9: a guest with less memory than it believes in: NPT") { follow(Kind::pod, Paging::npt); }
TEST_CASE("D1-D9: a guest with less memory than it believes in: EPT") { follow(Kind::pod, Paging::ept); }
