// SPDX-License-Identifier: Apache-2.0
#include "walk/walk.hpp"

#include <algorithm>

namespace octavo::walk {
namespace {

// Entry bits (SDM 3A 4.3 to 4.5); the same in all formats.
constexpr u64 k_present = 1u << 0;
constexpr u64 k_writable = 1u << 1;
constexpr u64 k_user = 1u << 2;
constexpr u64 k_accessed = 1u << 5;
constexpr u64 k_dirty = 1u << 6;
constexpr u64 k_page_size_bit = 1u << 7;  // PS above level 1, PAT in it
constexpr u64 k_global = 1u << 8;
constexpr u64 k_no_execute = u64{1} << 63;
constexpr unsigned k_key_shift = 59;

constexpr u64 k_cr0_wp = 1u << 16;
constexpr u64 k_cr0_pg = u64{1} << 31;
constexpr u64 k_cr4_pse = 1u << 4;
constexpr u64 k_cr4_pae = 1u << 5;
constexpr u64 k_cr4_smep = 1u << 20;
constexpr u64 k_cr4_smap = 1u << 21;
constexpr u64 k_cr4_pke = 1u << 22;
constexpr u64 k_efer_lma = 1u << 10;
constexpr u64 k_efer_nxe = 1u << 11;

constexpr unsigned k_attempts = 8;

/// Bits from..to, both included; nothing if to < from.
constexpr u64 bit_range(unsigned from, unsigned to) { return to < from ? 0 : low_bits(to + 1) & ~low_bits(from); }

/// log2 of the bytes that one entry at `level` covers.
constexpr unsigned level_shift(Paging paging, unsigned level) {
  return k_page_shift + (level - 1) * (paging == Paging::legacy32 ? 10 : 9);
}
constexpr unsigned entry_size(Paging paging) { return paging == Paging::legacy32 ? 4 : 8; }

constexpr u64 table_address(const Mode& mode, u64 entry) {
  const unsigned bits = mode.paging == Paging::legacy32 ? 32 : mode.features.physical_bits;
  return entry & bit_range(k_page_shift, bits - 1);
}

/// May an entry at this level be a leaf, other than at level 1?
constexpr bool has_large_pages(const Mode& mode, unsigned level) {
  if (level == 2) return mode.paging != Paging::legacy32 || mode.page_size_4m;
  return level == 3 && mode.features.gigabyte_pages;
}

constexpr u64 reserved_bits(const Mode& mode, unsigned level, bool leaf) {
  const unsigned physical = mode.features.physical_bits;
  if (mode.paging == Paging::legacy32) {
    // A 4M leaf keeps address bits 39:32 in bits 20:13 (PSE-36, SDM 3A table 4-4).
    if (level == 1 || !leaf) return 0;
    const unsigned address_bits = mode.features.pse36 ? std::min(physical, 40u) : 32u;
    return bit_range(13 + (address_bits - 32), 21);
  }
  u64 reserved = bit_range(physical, mode.paging == Paging::pae ? 62 : 51);
  if (!mode.no_execute) reserved |= k_no_execute;
  if (leaf && level > 1) reserved |= bit_range(13, level_shift(mode.paging, level) - 1);
  if (!leaf && level > 2) {
    reserved |= k_page_size_bit;
    if (mode.features.table_bit8_reserved) reserved |= k_global;
  }
  return reserved;
}

constexpr u64 leaf_address(const Mode& mode, unsigned level, u64 entry) {
  const unsigned shift = level_shift(mode.paging, level);
  if (mode.paging == Paging::legacy32) {
    const u64 high = level == 2 ? (entry & bit_range(13, 20)) << (32 - 13) : 0;
    return high | (entry & bit_range(shift, 31));
  }
  return entry & bit_range(shift, mode.features.physical_bits - 1u);
}

/// The bits of the error code that the access alone decides.
constexpr u32 access_bits(const Mode& mode, const Access& access) {
  u32 bits = 0;
  if (access.kind == AccessKind::write) bits |= k_fault_write;
  if (access.kind == AccessKind::fetch && (mode.no_execute || mode.smep)) bits |= k_fault_fetch;
  if (access.privilege == Privilege::user) bits |= k_fault_user;
  return bits;
}

constexpr std::unexpected<Failure> page_fault(const Mode& mode, const Access& access, Gva gva, u32 cause) {
  return std::unexpected(Failure{Failure::Kind::page_fault, cause | access_bits(mode, access), gva, Gpa{}, Error::not_found});
}
constexpr std::unexpected<Failure> unreachable_table(Gva gva, Gpa table, Error error) {
  return std::unexpected(Failure{Failure::Kind::table_unreachable, 0, gva, table, error});
}

/// Down the tables without changing them and without asking whether the access is permitted.
std::expected<Translation, Failure> descend(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva) {
  const u64 linear = gva.value();
  Translation result;
  unsigned level = mode.paging == Paging::level4 ? 4 : 2;
  u64 table = table_address(mode, mode.cr3);
  if (mode.paging == Paging::pae) {
    const u64 pdpte = mode.pdptes[(linear >> 30) & 3];
    if ((pdpte & k_present) == 0) return page_fault(mode, access, gva, 0);
    if ((pdpte & pdpte_reserved_bits(mode.features.physical_bits)) != 0) {
      return page_fault(mode, access, gva, k_fault_present | k_fault_reserved);
    }
    table = table_address(mode, pdpte);
  }
  const unsigned size = entry_size(mode.paging);
  for (;; --level) {
    const unsigned shift = level_shift(mode.paging, level);
    const Gpa address{table + ((linear >> shift) & (k_page_size / size - 1)) * size};
    const Result<u64> read = memory.read_entry(address, size);
    if (!read) return unreachable_table(gva, address, read.error());
    const u64 entry = *read;
    if ((entry & k_present) == 0) return page_fault(mode, access, gva, 0);
    const bool leaf = level == 1 || ((entry & k_page_size_bit) != 0 && has_large_pages(mode, level));
    if ((entry & reserved_bits(mode, level, leaf)) != 0) {
      return page_fault(mode, access, gva, k_fault_present | k_fault_reserved);
    }
    result.rights.writable &= (entry & k_writable) != 0;
    result.rights.user &= (entry & k_user) != 0;
    result.rights.executable &= mode.paging == Paging::legacy32 || (entry & k_no_execute) == 0;
    result.path[result.steps++] = Step{address, entry, static_cast<u8>(level)};
    if (leaf) {
      result.gpa = Gpa{leaf_address(mode, level, entry) | (linear & low_bits(shift))};
      result.order = Order{shift - k_page_shift};
      result.global = (entry & k_global) != 0;
      result.dirty = (entry & k_dirty) != 0;
      result.protection_key = mode.protection_keys ? static_cast<u8>(entry >> k_key_shift & 0xF) : u8{0};
      return result;
    }
    table = table_address(mode, entry);
  }
}

enum class Marked : u8 { all, changed };

/// Sets A on the way and D in the leaf of a write, by exchanges that fail if the entry is not what was read.
std::expected<Marked, Failure> mark(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva, Translation& result) {
  for (Step& step : std::span(result.path).first(result.steps)) {
    const bool is_leaf = &step == &result.path[result.steps - 1u];
    const u64 wanted = step.entry | k_accessed | (is_leaf && access.kind == AccessKind::write ? k_dirty : 0);
    if (wanted == step.entry) continue;
    const Result<bool> exchanged = memory.compare_exchange_entry(step.address, entry_size(mode.paging), step.entry, wanted);
    if (!exchanged) return unreachable_table(gva, step.address, exchanged.error());
    if (!*exchanged) return Marked::changed;
    step.entry = wanted;
    if (is_leaf) result.dirty = (wanted & k_dirty) != 0;
  }
  return Marked::all;
}
}  // namespace

Mode make_mode(const PagingRegisters& registers, const PagingFeatures& features) {
  Mode mode;
  mode.features = features;
  mode.features.physical_bits = std::clamp<u8>(features.physical_bits, 32, 52);
  if ((registers.cr0 & k_cr0_pg) == 0) return mode;
  mode.paging = (registers.efer & k_efer_lma) != 0  ? Paging::level4
                : (registers.cr4 & k_cr4_pae) != 0 ? Paging::pae
                                                   : Paging::legacy32;
  mode.write_protect = (registers.cr0 & k_cr0_wp) != 0;
  mode.page_size_4m = mode.paging == Paging::legacy32 && (registers.cr4 & k_cr4_pse) != 0;
  mode.smep = (registers.cr4 & k_cr4_smep) != 0;
  mode.smap = (registers.cr4 & k_cr4_smap) != 0;
  mode.no_execute = mode.paging != Paging::legacy32 && (registers.efer & k_efer_nxe) != 0;
  mode.protection_keys = mode.paging == Paging::level4 && (registers.cr4 & k_cr4_pke) != 0;
  mode.pkru = registers.pkru;
  mode.cr3 = registers.cr3;
  mode.pdptes = registers.pdptes;
  return mode;
}

std::optional<u32> violation(const Mode& mode, Rights rights, u8 protection_key, const Access& access) {
  if (mode.paging == Paging::none) return std::nullopt;
  const bool by_user = access.privilege == Privilege::user;
  const bool write = access.kind == AccessKind::write;
  bool denied = by_user && !rights.user;
  u32 cause = k_fault_present;
  if (access.kind == AccessKind::fetch) {
    denied |= !rights.executable || (!by_user && mode.smep && rights.user);
  } else {
    denied |= write && !rights.writable && (by_user || mode.write_protect);
    denied |= !by_user && mode.smap && rights.user && (access.implicit || !access.alignment_check);
    if (mode.protection_keys && rights.user) {  // SDM 3A 4.6.2
      const u32 key_rights = mode.pkru >> (2 * protection_key) & 3;
      const bool access_disabled = (key_rights & 1) != 0;
      const bool write_disabled = (key_rights & 2) != 0 && write && (by_user || mode.write_protect);
      if (access_disabled || write_disabled) {
        denied = true;
        cause |= k_fault_key;
      }
    }
  }
  if (!denied) return std::nullopt;
  return cause | access_bits(mode, access);
}

std::expected<Translation, Failure> walk(GuestMemory& memory, const Mode& mode, const Access& access, Gva gva, Marking marking) {
  if (mode.paging == Paging::level4) {
    if (!is_canonical(gva.value())) {
      return std::unexpected(Failure{Failure::Kind::non_canonical, 0, gva, Gpa{}, Error::not_found});
    }
  } else {
    gva = Gva{gva.value() & low_bits(32)};
  }
  if (mode.paging == Paging::none) {
    Translation identity;
    identity.gpa = Gpa{gva.value()};
    identity.dirty = true;
    return identity;
  }
  for (unsigned attempt = 0; attempt < k_attempts; ++attempt) {
    auto result = descend(memory, mode, access, gva);
    if (!result) return result;
    if (const auto code = violation(mode, result->rights, result->protection_key, access)) {
      return std::unexpected(Failure{Failure::Kind::page_fault, *code, gva, Gpa{}, Error::not_found});
    }
    if (marking == Marking::leave) return result;
    const auto marked = mark(memory, mode, access, gva, *result);
    if (!marked) return std::unexpected(marked.error());
    if (*marked == Marked::all) return result;
  }
  return std::unexpected(Failure{Failure::Kind::contended, 0, gva, Gpa{}, Error::again});
}

Result<std::array<u64, 4>> load_pdptes(GuestMemory& memory, u64 cr3, unsigned physical_bits) {
  std::array<u64, 4> pdptes{};
  Gpa address{cr3 & bit_range(5, 31)};
  for (u64& pdpte : pdptes) {
    pdpte = OCTAVO_TRY(memory.read_entry(address, 8));
    if ((pdpte & k_present) != 0 && (pdpte & pdpte_reserved_bits(physical_bits)) != 0) return fail(Error::not_permitted);
    address += 8;
  }
  return pdptes;
}
}  // namespace octavo::walk
