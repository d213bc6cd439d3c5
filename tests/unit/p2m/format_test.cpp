// SPDX-License-Identifier: Apache-2.0
#include "p2m/format.hpp"

#include <catch2/catch.hpp>

using namespace octavo;
using namespace octavo::p2m;

namespace {
constexpr const Format* k_formats[] = {&k_npt, &k_ept};

/// Every leaf that can be said at a level, with frames at the edges of the field.
void each_leaf(unsigned level, auto&& f) {
  for (unsigned type = 0; type < k_types; ++type) {
    for (unsigned flags = 0; flags < 8; ++flags) {
      for (unsigned bit = 9 * level; bit < 41; ++bit) {
        const u64 frame = bit == 40 ? low_bits(40) & ~low_bits(9 * level) : u64{1} << bit;
        Leaf leaf{.type = static_cast<Type>(type)};
        if (is_mapped(leaf.type)) leaf = {Mfn{frame}, leaf.type, (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0};
        f(leaf);
      }
    }
  }
}
}  // namespace

TEST_CASE("P1: leaves survive a round trip in both formats, at every level, and say no more than they were told") {
  for (const Format* format : k_formats) {
    for (unsigned level = 0; level <= k_max_leaf_level; ++level) {
      each_leaf(level, [&](const Leaf& leaf) {
        const u64 entry = format->encode(leaf, level);
        REQUIRE(format->decode_leaf(entry) == leaf);
        REQUIRE(format->is_present(entry) == is_mapped(leaf.type));
        REQUIRE_FALSE(format->is_table(entry, level));
        REQUIRE(format->is_sound(entry, level));
        if (!format->is_present(entry)) REQUIRE((entry & ~Format::k_type) == 0);  // no address in a hole: nothing to speculate on
      });
    }
  }
}

TEST_CASE("P1: table entries survive a round trip, a pending type that forbids writing does so at once") {
  for (const Format* format : k_formats) {
    for (unsigned type = 0; type < k_types; ++type) {
      for (unsigned bit = 0; bit < 40; ++bit) {
        for (const bool accessed : {false, true}) {
          const TableLink link{Mfn{u64{1} << bit}, static_cast<Type>(type), accessed};
          const u64 entry = format->encode(link);
          REQUIRE(format->decode_table(entry) == link);
          for (unsigned level = 1; level < 5; ++level) REQUIRE(format->is_table(entry, level));
          REQUIRE(format->is_sound(entry, 3));
          const bool writable = (entry & format->write) != 0;
          REQUIRE(writable == (link.pending == Type::invalid || access_of(link.pending).write));
        }
      }
    }
  }
}

TEST_CASE("P1: the bits are where the manuals have them") {
  const Leaf leaf{Mfn{0x12345000 >> 12}, Type::ram_rw, false, false, false};
  const u64 type = u64{static_cast<u8>(Type::ram_rw)} << 52;
  CHECK(k_npt.encode(leaf, 0) == (0x12345007 | type));                         // P W U
  CHECK(k_ept.encode(leaf, 0) == (0x12345037 | type));                         // R W X, write-back
  const Leaf large{Mfn{0x40000000 >> 12}, Type::log_dirty, true, true, false};
  const u64 log = u64{static_cast<u8>(Type::log_dirty)} << 52;
  CHECK(k_npt.encode(large, 2) == (0x400000E5 | log));                         // P U A D PS
  CHECK(k_ept.encode(large, 2) == (0x400003B5 | log));                         // R X, write-back, page, A, D
  const Leaf device{Mfn{0xFEE00}, Type::mmio_direct, false, false, false};
  const u64 direct = u64{static_cast<u8>(Type::mmio_direct)} << 52;
  CHECK(k_npt.encode(device, 0) == (0xFEE0001F | direct | u64{1} << 63));      // P W U PWT PCD, NX
  CHECK(k_ept.encode(device, 0) == (0xFEE00003 | direct));                     // R W, uncacheable
}

TEST_CASE("P14: every single flipped bit that matters makes an entry unsound or says something else") {
  for (const Format* format : k_formats) {
    const Leaf leaf{Mfn{1 << 18}, Type::ram_rw, true, true, true};
    for (unsigned level = 0; level <= 2; ++level) {
      const u64 entry = format->encode(leaf, level);
      for (unsigned bit = 0; bit < 64; ++bit) {
        const u64 flipped = entry ^ u64{1} << bit;
        if (format->is_sound(flipped, level) && !format->is_table(flipped, level)) REQUIRE_FALSE(format->decode_leaf(flipped) == leaf);
      }
    }
  }
}

TEST_CASE("P2: the table of transitions is what it says") {
  for (unsigned from = 0; from < k_types; ++from) {
    for (unsigned to = 0; to < k_types; ++to) {
      const auto a = static_cast<Type>(from);
      const auto b = static_cast<Type>(to);
      const bool legal = is_legal_transition(a, b);
      INFO(to_string(a) << " -> " << to_string(b));
      if (b == Type::invalid) CHECK(legal);                                     // everything can be taken away
      if (is_ram(a) && is_ram(b)) CHECK(legal);
      if (a != b && (a == Type::mmio_direct || a == Type::mmio_emulated)) CHECK(legal == (b == Type::invalid));
      if (b == Type::mmio_direct || b == Type::mmio_emulated) CHECK(legal == (a == b || a == Type::invalid));
      if (b == Type::transit) CHECK(legal == is_ram(a));
    }
  }
  CHECK_FALSE(is_legal_transition(Type::count_, Type::invalid));
  CHECK_FALSE(is_legal_transition(Type::invalid, Type::count_));
}
