// SPDX-License-Identifier: Apache-2.0
// How a guest's linear addresses are translated at this moment: everything outside of its page tables that changes the
// result of a walk, as one value. It is made from registers once and can be kept as long as none of them changes.
#pragma once
#include <array>

#include "lib/address.hpp"

namespace octavo::walk {

enum class Paging : u8 { none, legacy32, pae, level4 };

/// What the guest's own CPUID says that bears on translation.
struct PagingFeatures {
  u8 physical_bits = 40;              ///< the guest's MAXPHYADDR, 32..52
  bool pse36 = true;                  ///< CPUID 1 EDX.17
  bool gigabyte_pages = false;        ///< CPUID 8000_0001 EDX.26
  bool table_bit8_reserved = false;   ///< AMD: bit 8 of an entry at level 3 or 4 that refers to a table must be zero (APM 2, 5.3.3)
};

/// The registers as the guest wrote them. `pdptes` matter under PAE only: as latched by MOV CR3 (SDM 3A 4.4.1), or read from
/// memory just now (under nested paging AMD processors read them at each walk, APM 2 15.25.10).
struct PagingRegisters {
  u64 cr0 = 0;
  u64 cr3 = 0;
  u64 cr4 = 0;
  u64 efer = 0;
  u32 pkru = 0;
  std::array<u64, 4> pdptes{};
};

struct Mode {
  Paging paging = Paging::none;
  bool write_protect = false;    ///< CR0.WP
  bool page_size_4m = false;     ///< CR4.PSE, legacy32 only
  bool smep = false;
  bool smap = false;
  bool no_execute = false;       ///< EFER.NXE, pae and level4 only
  bool protection_keys = false;  ///< CR4.PKE, level4 only
  u32 pkru = 0;
  u64 cr3 = 0;
  std::array<u64, 4> pdptes{};
  PagingFeatures features{};
};

[[nodiscard]] Mode make_mode(const PagingRegisters& registers, const PagingFeatures& features);

/// Is it the sign extension of its low 48 bits?
[[nodiscard]] constexpr bool is_canonical(u64 address) {
  return static_cast<u64>(static_cast<i64>(address << 16) >> 16) == address;
}

/// Bits that a present PDPTE must not have under PAE; MOV CR3 answers them with #GP (SDM 3A table 4-8).
[[nodiscard]] constexpr u64 pdpte_reserved_bits(unsigned physical_bits) {
  return 0x1E6 | ~low_bits(physical_bits);
}
}  // namespace octavo::walk
