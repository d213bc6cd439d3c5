// SPDX-License-Identifier: Apache-2.0
// Random tables, registers and addresses: walk/ and the reference walker agree, on the result and on what they leave in memory.
#include <catch2/catch.hpp>
#include <random>
#include <rapidcheck.h>

#include "tests/unit/walk/rig.hpp"

using namespace octavo;
using namespace octavo::test;

namespace {
constexpr u64 k_pages = 8;

/// Entries point into the memory or little beyond it, most are present; now and then any bit at all is flipped.
void fill(FlatMemory& memory, std::mt19937_64& random, unsigned size) {
  for (u64 address = 0; address < memory.bytes.size(); address += size) {
    u64 entry = (random() % (k_pages + 1)) << 12 | (random() & 0xFE7) | ((random() & 7) != 0 ? 1 : 0);
    if ((random() & 3) != 0) entry |= 0x6;
    if ((random() & 3) != 0) entry &= ~u64{0x80};
    if ((entry & 0x80) != 0 && (random() & 1) != 0) entry &= ~u64{0x3FE000} | (size == 4 ? u64{0x1FE000} : 0);
    if (size == 8 && (random() & 7) == 0) entry |= u64{1} << 63;
    if ((random() & 7) == 0) entry ^= u64{1} << (random() % (size * 8));
    memory.put(address, size, entry);
  }
}
}  // namespace

TEST_CASE("random tables are walked as the reference walks them") {
  u64 translated = 0;
  const bool ok = rc::check([&](u64 seed) {
    std::mt19937_64 random(seed);
    FlatMemory memory(k_pages * 0x1000);
    model::ReferenceCpu cpu;
    const auto maybe = [&](unsigned bit) { return (random() & 1) << bit; };
    cpu.cr0 = u64{(random() & 15) != 0} << 31 | maybe(16);
    cpu.cr4 = maybe(4) | maybe(5) | maybe(20) | maybe(21) | maybe(22);
    cpu.efer = maybe(11) | ((cpu.cr4 >> 5 & 1) != 0 ? maybe(10) : 0);
    cpu.cr3 = (random() % k_pages) << 12 | (random() & 0xFFF);
    cpu.pkru = static_cast<u32>(random());
    cpu.rflags = maybe(18);
    cpu.cpl = (random() & 1) != 0 ? 3 : 0;
    cpu.maxphyaddr = static_cast<unsigned>(32 + random() % 21);
    cpu.cpuid_pse36 = (random() & 1) != 0;
    cpu.cpuid_page1gb = (random() & 1) != 0;
    cpu.amd = (random() & 1) != 0;
    for (auto& pdpte : cpu.pdpte) {
      pdpte = (random() % k_pages) << 12 | 1;
      if ((random() & 7) == 0) pdpte ^= u64{1} << (random() % 64);
    }
    fill(memory, random, (cpu.cr4 >> 5 & 1) != 0 ? 8 : 4);
    const auto before = memory.bytes;
    for (unsigned i = 0; i < 200; ++i) {
      u64 linear = random();
      if ((random() & 31) != 0) linear = static_cast<u64>(static_cast<i64>(linear << 16) >> 16);
      const auto access = k_all_accesses[random() % 5];
      const std::string trouble = compare_walks(memory, cpu, access, linear);
      if (!trouble.empty()) RC_FAIL(trouble);
      RC_ASSERT(memory.bytes == before);
      if (walk::walk(memory, mode_of(cpu), access_of(cpu, access), Gva{linear}, walk::Marking::leave)) ++translated;
    }
  });
  CHECK(ok);
  CHECK(translated > 500);  // the tables are not all holes
}
