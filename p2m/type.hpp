// SPDX-License-Identifier: Apache-2.0
// The types of guest-physical memory (P2). The type alone decides what the hardware permits: one table. Which type may follow
// which is another. Both are data, so that tests can walk them.
#pragma once
#include <array>

#include "lib/int.hpp"

namespace octavo::p2m {

enum class Type : u8 {
  invalid,        ///< nothing there
  ram_rw,         ///< memory
  ram_ro,         ///< memory that the guest may not write (a ROM)
  log_dirty,      ///< memory; the first write is to be noted
  pod,            ///< memory that is populated on demand; no frame yet
  mmio_direct,    ///< a device's own memory, uncached
  mmio_emulated,  ///< every access goes to a virtual device
  transit,        ///< memory on the move: accesses fault and wait
  count_,
};
inline constexpr unsigned k_types = static_cast<unsigned>(Type::count_);

[[nodiscard]] constexpr const char* to_string(Type type) {
  constexpr std::array<const char*, k_types> names{"invalid", "ram_rw", "ram_ro", "log_dirty", "pod", "mmio_direct", "mmio_emulated", "transit"};
  return type < Type::count_ ? names[static_cast<usize>(type)] : "?";
}

/// What the hardware lets the guest do.
struct Access {
  bool read = false;
  bool write = false;
  bool execute = false;
  [[nodiscard]] constexpr bool any() const { return read || write || execute; }
  /// Does it permit all that `other` permits?
  [[nodiscard]] constexpr bool covers(Access other) const {
    return (read || !other.read) && (write || !other.write) && (execute || !other.execute);
  }
  constexpr bool operator==(const Access&) const = default;
};

[[nodiscard]] constexpr Access access_of(Type type) {
  constexpr std::array<Access, k_types> table{{
      {false, false, false},  // invalid
      {true, true, true},     // ram_rw
      {true, false, true},    // ram_ro
      {true, false, true},    // log_dirty
      {false, false, false},  // pod
      {true, true, false},    // mmio_direct
      {false, false, false},  // mmio_emulated
      {false, false, false},  // transit
  }};
  return type < Type::count_ ? table[static_cast<usize>(type)] : Access{};
}

/// Is there a frame of the domain's own behind it?
[[nodiscard]] constexpr bool is_ram(Type type) { return type == Type::ram_rw || type == Type::ram_ro || type == Type::log_dirty; }
/// Is there an entry that maps something?
[[nodiscard]] constexpr bool is_mapped(Type type) { return access_of(type).any(); }

/// May `to` follow `from` at a gfn? Memory and devices change into each other only by way of `invalid`.
[[nodiscard]] constexpr bool is_legal_transition(Type from, Type to) {
  using enum Type;
  constexpr auto bit = [](auto... types) { return static_cast<u16>((0u | ... | (1u << static_cast<unsigned>(types)))); };
  constexpr u16 ram = bit(ram_rw, ram_ro, log_dirty);
  constexpr std::array<u16, k_types> to_types{
      static_cast<u16>(ram | bit(invalid, pod, mmio_direct, mmio_emulated)),  // invalid
      static_cast<u16>(ram | bit(invalid, pod, transit)),                     // ram_rw
      static_cast<u16>(ram | bit(invalid, pod, transit)),                     // ram_ro
      static_cast<u16>(ram | bit(invalid, pod, transit)),                     // log_dirty
      static_cast<u16>(ram | bit(invalid, pod)),                              // pod
      bit(invalid, mmio_direct),                                              // mmio_direct
      bit(invalid, mmio_emulated),                                            // mmio_emulated
      static_cast<u16>(ram | bit(invalid, pod)),                              // transit
  };
  return from < count_ && to < count_ && (to_types[static_cast<usize>(from)] & bit(to)) != 0;
}
}  // namespace octavo::p2m
