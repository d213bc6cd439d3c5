// SPDX-License-Identifier: Apache-2.0
#include "tests/model/walker.hpp"

namespace octavo::model {
namespace {
constexpr bool bit(u64 value, unsigned n) { return (value >> n & 1) != 0; }
constexpr u64 bits(u64 value, unsigned high, unsigned low) { return value >> low & ((u64{2} << (high - low)) - 1); }
}  // namespace

NestedWalk nested_walk(const SimulatedMachine& machine, Nested format, u64 root, u64 gfn, unsigned machine_address_bits) {
  NestedWalk walk;
  walk.read = walk.write = walk.execute = true;
  const auto malformed = [&](const char* why) {
    walk.result = NestedWalk::Result::malformed;
    walk.problem = why;
    return walk;
  };
  const auto hole = [&](unsigned level) {
    NestedWalk empty;
    empty.order = 9 * level;
    empty.entry_address = walk.entry_address;
    empty.last_level = level;
    return empty;
  };
  u64 table = root;
  for (unsigned level = 4; level-- > 0;) {
    const u64 address = table + 8 * (gfn >> 9 * level & 511);
    walk.entry_address[level] = address;
    walk.last_level = level;
    const u64 entry = machine.read64(Hpa{address});
    const u64 frame = bits(entry, 51, 12);
    bool large = false;

    if (format == Nested::npt) {
      // APM 5.4.1: P is bit 0; when it is clear all other bits belong to software.
      if (!bit(entry, 0)) return hole(level);
      // APM 15.25.5: guest accesses to nested tables are user accesses, so U/S (bit 2) must be set at every level.
      if (!bit(entry, 2)) return malformed("U/S clear in a nested entry");
      walk.write = walk.write && bit(entry, 1);
      walk.execute = walk.execute && !bit(entry, 63);
      // APM figures 5-19 to 5-23: PS (bit 7) is 1 for a 1G or 2M page, must be zero in a PML4E.
      large = level > 0 && bit(entry, 7);
      if (level == 3 && bit(entry, 7)) return malformed("PS set in a PML4E");
      const bool leaf = large || level == 0;
      if (leaf && bit(entry, 8)) return malformed("G set: ignored by hardware, but nobody should set it");
      // PAT index = PAT:PCD:PWT; the hypervisor's PAT has write-back at 0 and uncacheable at 3 (the power-on value).
      if (leaf) {
        const u64 pat = bits(entry, level == 0 ? 7 : 12, level == 0 ? 7 : 12) * 4 + bits(entry, 4, 3);
        if (pat != 0 && pat != 3) return malformed("a memory type that is neither write-back nor uncacheable");
        walk.uncached = pat == 3;
      }
      if (!leaf && (bit(entry, 3) || bit(entry, 4))) return malformed("a table is to be walked uncached");
      if (bits(entry, 62, 59) != 0) return malformed("protection key bits");
    } else {
      // SDM 29.3.2: an entry is present when any of R (0), W (1), X (2) is set.
      if (bits(entry, 2, 0) == 0) return hole(level);
      // SDM 29.3.3.1: write without read is a misconfiguration (execute-only needs a capability that we never assume).
      if (!bit(entry, 0)) return malformed("EPT misconfiguration: not readable");
      walk.write = walk.write && bit(entry, 1);
      walk.execute = walk.execute && bit(entry, 2);
      // SDM tables 29-1 to 29-6: bit 7 says page at levels 2 and 1; reserved in a PML4E.
      large = level > 0 && bit(entry, 7);
      if (level == 3 && bit(entry, 7)) return malformed("EPT misconfiguration: bit 7 of a PML4E");
      if (large || level == 0) {
        const u64 type = bits(entry, 5, 3);
        if (type == 2 || type == 3 || type == 7) return malformed("EPT misconfiguration: memory type");
        walk.uncached = type == 0;
      } else if (bits(entry, 6, 3) != 0) {
        return malformed("EPT misconfiguration: bits 6:3 of a table entry");
      }
      if (bits(entry, 63, 57) != 0) return malformed("EPT bits with a meaning that nobody enabled");
    }
    if (machine_address_bits < 52 && bits(entry, 51, machine_address_bits) != 0) return malformed("address beyond MAXPHYADDR");
    if (large && frame % (u64{1} << 9 * level) != 0) return malformed("reserved address bits of a large page");
    if (large || level == 0) {
      walk.result = NestedWalk::Result::mapped;
      walk.order = 9 * level;
      walk.mfn = frame + gfn % (u64{1} << 9 * level);
      return walk;
    }
    table = frame << 12;
  }
  return malformed("unreachable");
}
}  // namespace octavo::model
