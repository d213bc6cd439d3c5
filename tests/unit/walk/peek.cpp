// SPDX-License-Identifier: Apache-2.0
// peek_executed() against the full walk: where it answers, it answers the same.
#include <catch2/catch.hpp>

#include <cstring>
#include <map>

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
  Pages memory;
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
}  // namespace

TEST_CASE("peek: 4K, 2M and 1G leaves give the bytes that the full walk gives") {
  Fixture f;
  const u64 rip = GENERATE(u64{0x5123}, u64{0x5FFD}, u64{0x234567}, u64{0x40234FFD});
  u8 peeked[walk::k_peek_bytes];
  REQUIRE(walk::peek_executed(f.memory, k_root, rip, peeked));
  const walk::Mode mode = walk::make_mode({.cr0 = 0x80000001, .cr3 = k_root, .cr4 = 0x20, .efer = 0xD00}, {.gigabyte_pages = true});
  u8 full[walk::k_peek_bytes];
  REQUIRE(walk::copy_from_guest(f.memory, mode, walk::Access{}, Gva{rip}, full));
  CHECK(std::memcmp(peeked, full, sizeof full) == 0);
}

TEST_CASE("peek: says nothing at a page's end, where nothing is mapped, and where tables are no memory") {
  Fixture f;
  u8 out[walk::k_peek_bytes];
  CHECK_FALSE(walk::peek_executed(f.memory, k_root, 0x5FFE, out));
  CHECK_FALSE(walk::peek_executed(f.memory, k_root, 0x6000, out));
  CHECK_FALSE(walk::peek_executed(f.memory, 0x77000, 0x5123, out));
  CHECK_FALSE(walk::peek_executed(f.memory, k_root, 0x400000, out));
}
