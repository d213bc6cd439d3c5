// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "arch/x86/descriptors.hpp"
#include "arch/x86/parse/command_line.hpp"
#include "arch/x86/parse/demangle.hpp"

using namespace octavo;
using namespace octavo::arch;

namespace {
std::string demangled(std::string_view mangled) {
  char buffer[256];
  BufferSink sink(buffer);
  demangle(sink, mangled);
  return std::string(sink.view());
}
}  // namespace

TEST_CASE("demangle: names as GCC and Clang make them") {
  CHECK(demangled("_ZN6octavo4arch5panicEPKc") == "octavo::arch::panic");
  CHECK(demangled("_ZN6octavo4arch12_GLOBAL__N_111enter_panicEv") == "octavo::arch::(anonymous)::enter_panic");
  CHECK(demangled("_ZN6octavo4arch12_GLOBAL__N_1L5k_patE") == "octavo::arch::(anonymous)::k_pat");
  CHECK(demangled("_ZNK6octavo4arch4Uart7presentEv") == "octavo::arch::Uart::present");
  CHECK(demangled("_ZN6octavo4arch4UartC2Eth") == "octavo::arch::Uart::Uart");
  CHECK(demangled("_ZN6octavo4arch4UartD1Ev") == "octavo::arch::Uart::~Uart");
  CHECK(demangled("_ZNSt4spanE") == "std::span");
  CHECK(demangled("_ZN6octavo8SpinLockILNS_8LockRankE11EE4lockEv") == "octavo::SpinLock<>");
  CHECK(demangled("_Z4freev") == "free");
  CHECK(demangled("_ZL4freev") == "free");
}

TEST_CASE("demangle: what is no mangled name, or not whole, stays as it is") {
  for (const char* text : {"interrupt_common", "", "_Z", "_ZN", "_ZN6oct", "_ZN6octavo", "_ZN0E", "_ZN99999999999999999999x", "_ZNC2E", "_ZTV3foo"}) {
    CHECK(demangled(text) == text);
  }
}

TEST_CASE("command line: words, names and values") {
  std::string_view line = "  console=both\tverbose a= =b x=y=z \n";
  auto expect = [&](std::string_view name, std::string_view value) {
    const auto word = next_word(line);
    REQUIRE(word);
    CHECK(word->name == name);
    CHECK(word->value == value);
  };
  expect("console", "both");
  expect("verbose", "");
  expect("a", "");
  expect("", "b");
  expect("x", "y=z");
  CHECK(!next_word(line));
  CHECK(!next_word(line));
}

TEST_CASE("interrupt gate: fields where the manual has them (APM vol. 2, figure 4-24)") {
  constexpr Gate gate = make_interrupt_gate(0x1122'3344'5566'7788, InterruptStack::nmi);
  STATIC_REQUIRE((gate.low & 0xffff) == 0x7788);
  STATIC_REQUIRE((gate.low >> 16 & 0xffff) == selector::code);
  STATIC_REQUIRE((gate.low >> 32 & 7) == 2);
  STATIC_REQUIRE((gate.low >> 40 & 0xff) == 0x8e);
  STATIC_REQUIRE((gate.low >> 48) == 0x5566);
  STATIC_REQUIRE(gate.high == 0x1122'3344);
}
