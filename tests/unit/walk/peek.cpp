// SPDX-License-Identifier: Apache-2.0
// CodePath against the full walk: where it answers, it answers the same; and what it remembers it still reads again.
#include <catch2/catch.hpp>

#include <cstring>
#include <map>
#include <tuple>

#include "walk/copy.hpp"
#include "walk/peek.hpp"

using namespace octavo;

namespace {
/// Sparse guest memory, page by page.
class Pages final : public walk::GuestBytes {
 public:
  std::map<u64, std::array<u8, k_page_size>> pages;
  u64& entry(u64 table, u64 index) { return *reinterpret_cast<u64*>(&pages[table >> k_page_shift][index * 8]); }

  Result<u64> read_entry(Gpa gpa, unsigned size) override {
    u64 value = 0;
    OCTAVO_TRY(read(gpa, {reinterpret_cast<u8*>(&value), size}));
    return value;
  }
  Result<bool> compare_exchange_entry(Gpa, unsigned, u64, u64) override { return true; }
  Result<> read(Gpa gpa, std::span<u8> out) override {
    const auto page = pages.find(gpa.value() >> k_page_shift);
    if (page == pages.end()) return fail(Error::not_found);
    std::memcpy(out.data(), &page->second[gpa.page_offset()], out.size());
    return {};
  }
  Result<> write(Gpa, std::span<const u8>) override { return fail(Error::not_permitted); }
};

constexpr u64 k_root = 0x1000, k_level3 = 0x2000, k_level2 = 0x3000, k_level1 = 0x4000, k_present = 0x3, k_large = 0x80;

struct Fixture {
  static constexpr u64 k_shift = 0x7'0000'0000;  ///< machine addresses are other numbers
  Pages memory;
  walk::CodePath path;
  unsigned located = 0;

  // walk::CodeMemory
  std::optional<Hpa> locate(Gpa gpa) {
    ++located;
    return memory.pages.contains(gpa.value() >> k_page_shift) ? std::optional<Hpa>{Hpa{gpa.value() + k_shift}} : std::nullopt;
  }
  u64 word(Hpa hpa) {
    CHECK(hpa.value() % 8 == 0);
    const Result<u64> word = memory.read_entry(Gpa{hpa.value() - k_shift}, 8);
    REQUIRE(word);
    return *word;
  }
  std::optional<u32> peek(u64 rip, u64 cr3 = k_root) { return path.peek(*this, cr3, rip); }

  Fixture() {
    memory.entry(k_root, 0) = k_level3 | k_present;
    memory.entry(k_level3, 0) = k_level2 | k_present;
    memory.entry(k_level2, 0) = k_level1 | k_present;
    memory.entry(k_level1, 5) = 0x9000 | k_present | (u64{1} << 63);
    memory.entry(k_level2, 1) = 0x200000 | k_present | k_large;
    memory.entry(k_level3, 1) = 0x40000000 | k_present | k_large;
    for (const u64 frame : {0x9000u, 0x234000u, 0x40234000u}) {
      auto& page = memory.pages[frame >> k_page_shift];
      for (usize i = 0; i < page.size(); ++i) page[i] = static_cast<u8>(frame >> 12 ^ i * 7);
    }
  }
};
constexpr u64 k_code = 0x5120;  // what k_level1[5] maps
}  // namespace

TEST_CASE("peek: 4K, 2M and 1G leaves give the bytes that the full walk gives") {
  Fixture f;
  const u64 rip = GENERATE(u64{0x5120}, u64{0x5125}, u64{0x5126}, u64{0x5127}, u64{0x5FFD}, u64{0x234567}, u64{0x40234FFD});
  const walk::Mode mode = walk::make_mode({.cr0 = 0x80000001, .cr3 = k_root, .cr4 = 0x20, .efer = 0xD00}, {.gigabyte_pages = true});
  u8 full[3];
  REQUIRE(walk::copy_from_guest(f.memory, mode, walk::Access{}, Gva{rip}, full));
  for (int time = 0; time < 2; ++time) {  // found, then remembered
    const std::optional<u32> peeked = f.peek(rip);
    REQUIRE(peeked);
    CHECK(*peeked == (u32{full[0]} | u32{full[1]} << 8 | u32{full[2]} << 16));
  }
}

TEST_CASE("peek: says nothing at a page's end, where nothing is mapped, and where tables are no memory") {
  Fixture f;
  REQUIRE(f.peek(k_code));
  CHECK_FALSE(f.peek(0x5FFE));
  CHECK_FALSE(f.peek(0x6000));
  CHECK_FALSE(f.peek(0x5123, 0x77000));
  CHECK_FALSE(f.peek(0x400000));
}

TEST_CASE("peek: a way that is remembered is not looked for again, until it is forgotten") {
  Fixture f;
  REQUIRE(f.peek(k_code));
  const unsigned once = f.located;
  REQUIRE(f.peek(k_code + 9));
  CHECK(f.located == once);
  f.path.forget();
  REQUIRE(f.peek(k_code));
  CHECK(f.located == 2 * once);
}

TEST_CASE("peek: the bytes are those of now") {
  Fixture f;
  REQUIRE(f.peek(k_code));
  f.memory.pages[9][0x120] = 0x0F;
  f.memory.pages[9][0x121] = 0xA2;
  const std::optional<u32> peeked = f.peek(k_code);
  REQUIRE(peeked);
  CHECK((*peeked & 0xFFFF) == 0xA20F);
}

TEST_CASE("peek: an entry at any level that has changed is followed to where it leads now") {
  Fixture f;
  REQUIRE(f.peek(k_code));
  const u64 table = GENERATE(k_root, k_level3, k_level2, k_level1);
  const u64 index = table == k_level1 ? 5 : 0;
  SECTION("to another page") {
    // Copies of the tables below it, which lead to the page at 0xA000.
    f.memory.pages[0xA].fill(0xCC);
    u64 below = 0xA000 | k_present;
    for (const auto& [copy, source, at] : {std::tuple{u64{0x14000}, k_level1, 5}, {u64{0x13000}, k_level2, 0}, {u64{0x12000}, k_level3, 0}}) {
      if (table >= source) break;
      f.memory.pages[copy >> k_page_shift] = f.memory.pages[source >> k_page_shift];
      f.memory.entry(copy, static_cast<u64>(at)) = below;
      below = copy | k_present;
    }
    f.memory.entry(table, index) = below;
    const std::optional<u32> peeked = f.peek(k_code);
    REQUIRE(peeked);
    CHECK(*peeked == 0xCCCCCC);
  }
  SECTION("to nothing") {
    f.memory.entry(table, index) &= ~u64{1};
    CHECK_FALSE(f.peek(k_code));
    f.memory.entry(table, index) |= 1;
    CHECK(f.peek(k_code));
  }
}

TEST_CASE("peek: another CR3 is another way") {
  Fixture f;
  REQUIRE(f.peek(k_code));
  f.memory.pages[0x15] = {};  // a root that maps nothing
  CHECK_FALSE(f.peek(k_code, 0x15000));
  CHECK(f.peek(k_code));
}
