// SPDX-License-Identifier: Apache-2.0
// The computed 8254 counter against one that counts: Reference takes every CLK, straight from the mode definitions of Intel's
// data sheet (231164). Output, count, null-count flag and rising edges must agree at every tick.
#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <vector>

#include "devices/pit_channel.hpp"

namespace octavo::devices {
namespace {

struct Reference {
  unsigned mode = 3;
  bool bcd = false, gate = true, out = true;
  bool loaded = false;     // has CE been loaded since the control word?
  bool load_next = false;  // the next CLK loads CE from CR
  bool null_count = true;
  int cr = 0, ce = 0;      // cr 0: nothing written
  unsigned rises = 0;

  [[nodiscard]] int modulus() const { return bcd ? 10'000 : 65'536; }
  void drive(bool level) {
    if (level && !out) ++rises;
    out = level;
  }
  void control(unsigned new_mode, bool new_bcd) {
    mode = new_mode;
    bcd = new_bcd;
    loaded = load_next = false;
    null_count = true;
    cr = 0;
    drive(mode != 0);
  }
  void write(int count) {
    cr = count == 0 ? modulus() : count;
    null_count = true;
    switch (mode) {
      case 0: load_next = true; drive(false); break;
      case 4: load_next = true; break;
      case 2: case 3: if (!loaded && gate) load_next = true; break;
      default: break;
    }
  }
  void set_gate(bool high) {
    const bool rising = high && !gate;
    gate = high;
    switch (mode) {
      case 1: case 5: if (rising && cr != 0) load_next = true; break;
      case 2: case 3:
        if (!high) { drive(true); loaded = load_next = false; }
        if (rising && cr != 0) load_next = true;
        break;
      default: break;
    }
  }
  void load() {
    ce = mode == 3 ? cr & ~1 : cr;
    odd = (cr & 1) != 0;
    load_next = null_count = false;
    loaded = true;
  }
  void clk() {
    if (load_next) {
      load();
      drive(mode != 0 && mode != 1);
      expired = false;
      return;
    }
    if (!loaded) return;
    const bool enabled = gate || mode == 1 || mode == 5;
    if (mode == 4 || mode == 5) if (!out && enabled) drive(true);
    if (!enabled) return;
    switch (mode) {
      case 0: case 1: case 4: case 5:
        ce = ce == 0 ? modulus() - 1 : ce - 1;
        if (ce == 0 && !expired) {
          expired = true;
          drive(mode < 2);
        }
        break;
      case 2:
        if (ce == 1) { load(); drive(true); break; }
        if (--ce == 1) drive(false);
        break;
      case 3:
        if (ce == (odd && out ? 0 : 2)) {
          const bool level = !out;
          load();
          drive(level);
          if (!level && ce == 0) ce = 2;
        } else {
          ce -= 2;
        }
        break;
      default: break;
    }
  }
  bool odd = false, expired = false;
};

struct Step {
  unsigned kind, a, b;
};
std::ostream& operator<<(std::ostream& out, const Step& s) { return out << s.kind << ' ' << s.a << ' ' << s.b; }

int digits(unsigned raw, bool bcd) {
  if (!bcd) return static_cast<int>(raw);
  return static_cast<int>(raw / 1000 % 10 << 12 | raw / 100 % 10 << 8 | raw / 10 % 10 << 4 | raw % 10);
}

unsigned count_of(PitChannel& channel) {
  channel.latch_count();
  const unsigned low = channel.read();
  return low | static_cast<unsigned>(channel.read()) << 8;
}
}  // namespace

TEST_CASE("property: the computed 8254 counter agrees with one that counts") {
  const bool holds = rc::check([] {
    const auto step = rc::gen::construct<Step>(rc::gen::inRange(0U, 8U), rc::gen::arbitrary<unsigned>(), rc::gen::arbitrary<unsigned>());
    const auto steps = *rc::gen::container<std::vector<Step>>(step);
    PitChannel channel;
    Reference reference;
    i64 now = 0;
    u64 rises = 0;
    reference.control(*rc::gen::inRange(0U, 6U), *rc::gen::arbitrary<bool>());
    channel.write_control(static_cast<u8>(0x30U | reference.mode << 1 | (reference.bcd ? 1U : 0U)));
    for (const Step& s : steps) {
      switch (s.kind) {
        case 0:
          reference.control(s.a % 6, s.b % 2 != 0);
          channel.write_control(static_cast<u8>(0x30U | reference.mode << 1 | (reference.bcd ? 1U : 0U)));
          break;
        case 1: case 2: case 3: {
          // Small counts find the corners; 1 is illegal in modes 2 and 3.
          unsigned count = s.a % 4 == 0 ? s.b % 10'000 : s.a % 4 == 1 ? s.b % 3 : s.b % 40;
          if (count == 1 && (reference.mode == 2 || reference.mode == 3)) count = 2;
          reference.write(static_cast<int>(count));
          const auto raw = static_cast<unsigned>(digits(count, reference.bcd));
          channel.write_count(static_cast<u8>(raw));
          channel.write_count(static_cast<u8>(raw >> 8));
          break;
        }
        case 4: case 5:
          reference.set_gate(s.a % 2 != 0);
          channel.set_gate(s.a % 2 != 0);
          break;
        default: {
          const i64 jump = s.a % 3 == 0 ? s.b % 30'000 : s.b % 50;
          const auto deadline = channel.next_rise();
          const unsigned before = reference.rises;
          unsigned first_rise = 0;
          for (i64 i = 1; i <= jump; ++i) {
            reference.clk();
            if (first_rise == 0 && reference.rises != before) first_rise = static_cast<unsigned>(i);
          }
          if (deadline) RC_ASSERT(*deadline > now);
          if (first_rise != 0) RC_ASSERT(deadline == now + static_cast<i64>(first_rise));
          if (first_rise == 0 && deadline) RC_ASSERT(*deadline > now + jump);
          now += jump;
          rises = channel.run(now);
          RC_ASSERT(rises == reference.rises - before);
          break;
        }
      }
      RC_ASSERT(channel.output() == reference.out);
      channel.latch_status();
      RC_ASSERT(((channel.read() & 0x40) != 0) == reference.null_count);
      if (reference.loaded && !reference.load_next) {
        const int expected = reference.ce % reference.modulus();
        RC_ASSERT(count_of(channel) == static_cast<unsigned>(digits(static_cast<unsigned>(expected), reference.bcd)));
      }
    }
  });
  CHECK(holds);
}
}  // namespace octavo::devices
