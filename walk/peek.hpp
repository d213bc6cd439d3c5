// SPDX-License-Identifier: Apache-2.0
// The bytes of an instruction that the processor has just executed (and exited for). It has walked the tables, checked the
// rights and set the accessed bits itself a moment ago, so this only follows the entries. For the hot exits; whatever it does
// not know (other modes, a page boundary) is for walk() and fetch_instruction().
//
// A CodePath remembers the way from CR3 to one page of code: where each entry lies in the machine, and what it was. It believes
// nothing: every entry and the bytes are read again each time. Its owner makes it forget() before a frame of the guest's
// memory can be anyone else's.
#pragma once
#include <array>
#include <concepts>
#include <optional>

#include "lib/address.hpp"

namespace octavo::walk {

template <class Memory>
concept CodeMemory = requires(Memory& memory, Gpa gpa, Hpa hpa) {
  { memory.locate(gpa) } -> std::same_as<std::optional<Hpa>>;  ///< where it lies in the machine, if it is memory
  { memory.word(hpa) } -> std::same_as<u64>;                   ///< the naturally aligned 8 bytes at what locate() said
};

class CodePath {
 public:
  /// The three bytes at `rip` under 4-level paging with this CR3, the first one lowest. Nothing: they do not lie in one page, or
  /// are not mapped (any more).
  template <CodeMemory Memory>
  [[nodiscard]] std::optional<u32> peek(Memory& memory, u64 cr3, u64 rip) {
    constexpr u64 wanted = 3;
    const u64 offset = rip & (k_page_size - 1);
    if (offset > k_page_size - wanted) [[unlikely]] return std::nullopt;
    if (!leads_to(memory, cr3, rip)) [[unlikely]] {
      if (!follow(memory, cr3, rip)) return std::nullopt;
    }
    const unsigned skip = offset & 7;
    u64 bytes = memory.word(code_ + (offset - skip)) >> (8 * skip);
    if (skip > 8 - wanted) [[unlikely]] bytes |= memory.word(code_ + (offset - skip + 8)) << (8 * (8 - skip));
    return static_cast<u32>(bytes & low_bits(8 * wanted));
  }

  void forget() { page_ = k_nowhere; }

 private:
  static constexpr u64 k_address_bits = 0x000F'FFFF'FFFF'F000, k_present = 1, k_large = 1u << 7;
  static constexpr u64 k_nowhere = ~u64{0};

  template <CodeMemory Memory>
  [[nodiscard]] bool leads_to(Memory& memory, u64 cr3, u64 rip) const {
    if (page_ != rip >> k_page_shift || cr3_ != cr3) return false;
    for (const Step& step : steps_) {
      if (memory.word(step.at) != step.entry) return false;
    }
    return true;
  }

  template <CodeMemory Memory>
  [[gnu::noinline]] bool follow(Memory& memory, u64 cr3, u64 rip) {
    forget();
    u64 table = cr3 & k_address_bits;
    unsigned level = 4;
    for (Step& step : steps_) {
      const unsigned shift = 3 + 9 * level;
      const std::optional<Hpa> at = memory.locate(Gpa{table + (rip >> shift & 511) * 8});
      if (!at) return false;
      step = {*at, memory.word(*at)};
      if ((step.entry & k_present) == 0) return false;
      if (level == 1 || (level < 4 && (step.entry & k_large) != 0)) {
        const u64 within = low_bits(shift);
        const std::optional<Hpa> code = memory.locate(Gpa{(step.entry & k_address_bits & ~within) | (rip & within & ~(k_page_size - 1))});
        if (!code) return false;
        for (Step* rest = &step; rest != &steps_.back(); ++rest) rest[1] = step;  // so that there are always four to look at
        code_ = *code;
        cr3_ = cr3;
        page_ = rip >> k_page_shift;
        return true;
      }
      table = step.entry & k_address_bits;
      --level;
    }
    return false;
  }

  struct Step {
    Hpa at{};
    u64 entry = 0;
  };
  u64 page_ = k_nowhere;  ///< the linear page that the way leads to
  u64 cr3_ = 0;
  std::array<Step, 4> steps_{};
  Hpa code_{};
};
}  // namespace octavo::walk
