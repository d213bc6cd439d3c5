// SPDX-License-Identifier: Apache-2.0
// The oracle for guest translation: written from SDM 3A chapter 4 and APM 2 chapter 5 table by table, slow and obvious, on raw
// register values. It shares no code and no structure with walk/, and changes nothing: it says which bits would be set.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace octavo::model {

struct ReferenceCpu {
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0, rflags = 0;
  std::uint32_t pkru = 0;
  unsigned cpl = 0;
  std::uint64_t pdpte[4] = {};  // as latched
  // what CPUID says
  unsigned maxphyaddr = 40;
  bool cpuid_pse36 = true, cpuid_page1gb = false, amd = false;
};

enum class ReferenceAccess { read, write, fetch, implicit_read, implicit_write };

struct ReferenceUpdate {
  std::uint64_t address;
  unsigned size;
  std::uint64_t set;  // A (0x20), and D (0x40) in the leaf of a write
};

struct ReferenceResult {
  enum class What { translated, page_fault, non_canonical, no_memory } what = What::page_fault;
  std::uint64_t physical = 0;    // translated; or the entry that is not memory
  unsigned page_bits = 0;        // translated: log2 of the page's bytes; 32 without paging
  bool user_page = false, writable_page = false, executable_page = false;
  std::uint32_t error_code = 0;  // page_fault
  std::vector<ReferenceUpdate> updates{};
};

using ReferenceMemory = std::function<std::optional<std::uint64_t>(std::uint64_t address, unsigned size)>;

[[nodiscard]] ReferenceResult reference_walk(const ReferenceMemory& memory, const ReferenceCpu& cpu, ReferenceAccess access,
                                             std::uint64_t linear);
}  // namespace octavo::model
