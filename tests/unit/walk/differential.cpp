// SPDX-License-Identifier: Apache-2.0
// walk/ against the reference walker, exhaustively over what decides: every access, every mode flag, every permission bit at each
// level, every single bit of an entry, in each format and page size.
#include <catch2/catch.hpp>

#include "tests/unit/walk/rig.hpp"

using namespace octavo;
using namespace octavo::test;
using model::ReferenceCpu;

namespace {
constexpr u64 k_p = 1, k_rw = 2, k_us = 4, k_a = 0x20, k_d = 0x40, k_ps = 0x80, k_xd = u64{1} << 63;

/// A format and a page size: one path through tables at 0x1000, 0x2000 ...
struct Format {
  const char* name;
  unsigned levels;  // entries on the path, latched PDPTEs not counted
  unsigned size;
  u64 cr4, efer;
  bool large;       // the last entry on the path has PS
  bool gigabyte;
  u64 linear;
  unsigned index[4];  // of the path's entries in their tables, root first
  bool pae;
};

// linear = 0x4080'2010'1abc has index 0x81, 1 ... at each level; the 32-bit one has 0x41, 0x101 or 1, 2, 3.
constexpr Format k_formats[] = {
    {"32-bit 4K", 2, 4, 0, 0, false, false, 0x10501abc, {0x41, 0x101}, false},
    {"32-bit 4M", 1, 4, 1u << 4, 0, true, false, 0x10501abc, {0x41}, false},
    {"PAE 4K", 2, 8, 1u << 5, 0, false, false, 0x40403abc, {2, 3}, true},
    {"PAE 2M", 1, 8, 1u << 5, 0, true, false, 0x40403abc, {2}, true},
    {"4-level 4K", 4, 8, 1u << 5, 0x500, false, false, 0x408020101abc, {0x81, 0, 0x100, 0x101}, false},
    {"4-level 2M", 3, 8, 1u << 5, 0x500, true, false, 0x408020101abc, {0x81, 0, 0x100}, false},
    {"4-level 1G", 2, 8, 1u << 5, 0x500, true, true, 0x408020101abc, {0x81, 0}, false},
};

struct Rig {
  explicit Rig(const Format& f) : format(f), memory(0x8000) {
    cpu.cr0 = u64{1} << 31;
    cpu.cr3 = 0x1000;
    cpu.cr4 = f.cr4;
    cpu.efer = f.efer;
    cpu.cpuid_page1gb = f.gigabyte;
    cpu.pdpte[1] = 0x1001;
  }
  [[nodiscard]] u64 address(unsigned i) const { return 0x1000 * (i + u64{1}) + format.index[i] * u64{format.size}; }
  /// Entry i of the path with `bits` on top of where it has to point.
  void set(unsigned i, u64 bits) {
    const bool leaf = i + 1 == format.levels;
    const u64 target = !leaf ? 0x1000 * (i + u64{2}) : format.gigabyte ? u64{1} << 30 : format.large ? u64{1} << 22 : 0x7000;
    memory.put(address(i), format.size, target | bits | (leaf && format.large ? k_ps : 0));
  }
  void check(model::ReferenceAccess access) {
    const std::string trouble = compare_walks(memory, cpu, access, format.linear);
    ++walks;
    if (!trouble.empty()) {
      CAPTURE(format.name, trouble, static_cast<int>(access), cpu.cr0, cpu.cr4, cpu.efer, cpu.cpl, cpu.rflags, cpu.pkru, cpu.maxphyaddr);
      for (unsigned i = 0; i < format.levels; ++i) UNSCOPED_INFO("entry " << std::hex << memory.get(address(i), format.size));
      FAIL();
    }
  }
  const Format& format;
  FlatMemory memory;
  ReferenceCpu cpu{};
  u64 walks = 0;
};

u64 flag(unsigned combination, unsigned bit, unsigned where) { return u64{combination >> bit & 1} << where; }

/// The mode flags that the combination (0..63) stands for.
void set_flags(ReferenceCpu& cpu, const Format& format, unsigned combination) {
  cpu.cr0 = u64{1} << 31 | flag(combination, 0, 16);
  cpu.cr4 = format.cr4 | flag(combination, 1, 20) | flag(combination, 2, 21);
  cpu.rflags = flag(combination, 3, 18);
  cpu.efer = format.efer | flag(combination, 4, 11);
  cpu.cpl = (combination >> 5 & 1) != 0 ? 3 : 0;
}
}  // namespace

TEST_CASE("every permission bit at each level, every mode flag, every access") {
  for (const Format& format : k_formats) {
    Rig rig(format);
    const unsigned bits = format.size == 4 ? 2 : 3;  // RW, US and, where there is one, XD
    const unsigned combinations = 1u << (bits * format.levels);
    for (unsigned combination = 0; combination < combinations; ++combination) {
      for (unsigned i = 0; i < format.levels; ++i) {
        const unsigned own = combination >> (bits * i);
        rig.set(i, k_p | ((own & 1) != 0 ? k_rw : 0) | ((own & 2) != 0 ? k_us : 0) | ((own & 4) != 0 && bits == 3 ? k_xd : 0));
      }
      for (unsigned flags = 0; flags < 64; ++flags) {
        set_flags(rig.cpu, format, flags);
        for (const auto access : k_all_accesses) rig.check(access);
      }
    }
    CHECK(rig.walks == u64{combinations} * 64 * 5);
  }
}

TEST_CASE("present, accessed and dirty at each level") {
  for (const Format& format : k_formats) {
    Rig rig(format);
    for (unsigned combination = 0; combination < 1u << (3 * format.levels); ++combination) {
      for (unsigned i = 0; i < format.levels; ++i) {
        const unsigned own = combination >> (3 * i);
        rig.set(i, k_rw | k_us | ((own & 1) != 0 ? k_p : 0) | ((own & 2) != 0 ? k_a : 0) | ((own & 4) != 0 ? k_d : 0));
      }
      for (unsigned flags = 0; flags < 64; flags += 7) {
        set_flags(rig.cpu, format, flags);
        for (const auto access : k_all_accesses) rig.check(access);
      }
    }
  }
}

TEST_CASE("every single bit of an entry, under every width of physical addresses and every page-size feature") {
  for (const Format& format : k_formats) {
    Rig rig(format);
    for (unsigned features = 0; features < 16; ++features) {
      rig.cpu.cpuid_pse36 = (features & 1) != 0;
      rig.cpu.cpuid_page1gb = (features & 2) != 0;
      rig.cpu.amd = (features & 4) != 0;
      rig.cpu.efer = format.efer | ((features & 8) != 0 ? 0x800 : 0);
      for (const unsigned width : {32u, 36u, 39u, 40u, 46u, 48u, 52u}) {
        rig.cpu.maxphyaddr = width;
        for (unsigned i = 0; i < format.levels; ++i) {
          for (unsigned bit = 0; bit < format.size * 8; ++bit) {
            for (unsigned j = 0; j < format.levels; ++j) rig.set(j, k_p | k_rw | k_us);
            rig.memory.put(rig.address(i), format.size, rig.memory.get(rig.address(i), format.size) ^ u64{1} << bit);
            for (const auto access : k_all_accesses) rig.check(access);
          }
        }
        if (!format.pae) continue;
        for (unsigned j = 0; j < format.levels; ++j) rig.set(j, k_p | k_rw | k_us);
        for (unsigned bit = 0; bit < 64; ++bit) {
          rig.cpu.pdpte[1] = 0x1001 ^ u64{1} << bit;
          for (const auto access : k_all_accesses) rig.check(access);
        }
        rig.cpu.pdpte[1] = 0x1001;
      }
    }
  }
}

TEST_CASE("protection keys") {
  for (const Format& format : k_formats) {
    Rig rig(format);
    for (unsigned key = 0; key < 16; ++key) {
      for (unsigned rights = 0; rights < 4; ++rights) {
        // The key's own two bits; every other key has the opposite, so that a wrong key shows.
        rig.cpu.pkru = 0;
        for (unsigned k = 0; k < 16; ++k) rig.cpu.pkru |= (k == key ? rights : rights ^ 3u) << (2 * k);
        for (unsigned page = 0; page < 4; ++page) {
          for (unsigned i = 0; i < format.levels; ++i) {
            const bool leaf = i + 1 == format.levels;
            const u64 permission = leaf ? ((page & 1) != 0 ? k_rw : 0) | ((page & 2) != 0 ? k_us : 0) : k_rw | k_us;
            rig.set(i, k_p | permission | (leaf && format.size == 8 && !format.pae ? u64{key} << 59 : 0));
          }
          for (unsigned flags = 0; flags < 64; ++flags) {
            for (const u64 pke : {u64{0}, u64{1} << 22}) {
              set_flags(rig.cpu, format, flags);
              rig.cpu.cr4 |= pke;
              if (key >= 8 && (rig.cpu.efer & 0x800) == 0 && format.pae) continue;
              for (const auto access : k_all_accesses) rig.check(access);
            }
          }
        }
      }
    }
  }
}
