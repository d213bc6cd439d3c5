// SPDX-License-Identifier: Apache-2.0
// A small guest memory and the comparison of walk/ with the reference walker, for unit and property tests.
#pragma once
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/model/reference_walker_guest.hpp"
#include "walk/copy.hpp"

namespace octavo::test {

/// Memory at guest-physical [0, size); everything else is not memory.
class FlatMemory final : public walk::GuestBytes {
 public:
  explicit FlatMemory(usize size) : bytes(size) {}

  Result<u64> read_entry(Gpa gpa, unsigned size) override {
    if (!range_within(gpa.value(), size, bytes.size())) return fail(Error::not_found);
    return get(gpa.value(), size);
  }
  Result<bool> compare_exchange_entry(Gpa gpa, unsigned size, u64 expected, u64 desired) override {
    if (before_exchange) before_exchange(gpa);
    if (!range_within(gpa.value(), size, bytes.size())) return fail(Error::not_found);
    if (get(gpa.value(), size) != expected) return false;
    put(gpa.value(), size, desired);
    return true;
  }
  Result<> read(Gpa gpa, std::span<u8> out) override {
    if (!range_within(gpa.value(), out.size(), bytes.size())) return fail(Error::not_found);
    std::memcpy(out.data(), bytes.data() + gpa.value(), out.size());
    return {};
  }
  Result<> write(Gpa gpa, std::span<const u8> in) override {
    if (!range_within(gpa.value(), in.size(), bytes.size())) return fail(Error::not_found);
    std::memcpy(bytes.data() + gpa.value(), in.data(), in.size());
    return {};
  }

  [[nodiscard]] u64 get(u64 address, unsigned size) const {
    u64 value = 0;
    std::memcpy(&value, bytes.data() + address, size);
    return value;
  }
  void put(u64 address, unsigned size, u64 value) { std::memcpy(bytes.data() + address, &value, size); }

  std::vector<u8> bytes;
  std::function<void(Gpa)> before_exchange{};
};

inline walk::Mode mode_of(const model::ReferenceCpu& cpu) {
  walk::PagingRegisters registers{cpu.cr0, cpu.cr3, cpu.cr4, cpu.efer, cpu.pkru, {}};
  for (unsigned i = 0; i < 4; ++i) registers.pdptes[i] = cpu.pdpte[i];
  return walk::make_mode(registers, {static_cast<u8>(cpu.maxphyaddr), cpu.cpuid_pse36, cpu.cpuid_page1gb, cpu.amd});
}

inline walk::Access access_of(const model::ReferenceCpu& cpu, model::ReferenceAccess access) {
  using enum model::ReferenceAccess;
  walk::Access result;
  result.kind = access == fetch                                ? walk::AccessKind::fetch
                : access == write || access == implicit_write ? walk::AccessKind::write
                                                              : walk::AccessKind::read;
  result.implicit = access == implicit_read || access == implicit_write;
  result.privilege = cpu.cpl == 3 && !result.implicit ? walk::Privilege::user : walk::Privilege::supervisor;
  result.alignment_check = (cpu.rflags >> 18 & 1) != 0;
  return result;
}

inline constexpr model::ReferenceAccess k_all_accesses[] = {
    model::ReferenceAccess::read, model::ReferenceAccess::write, model::ReferenceAccess::fetch,
    model::ReferenceAccess::implicit_read, model::ReferenceAccess::implicit_write};

/// Walks with both. Empty if they agree in everything, A and D bits included; else a sentence. Undoes its changes to memory.
inline std::string compare_walks(FlatMemory& memory, const model::ReferenceCpu& cpu, model::ReferenceAccess access, u64 linear) {
  using What = model::ReferenceResult::What;
  const auto expected = model::reference_walk(
      [&](u64 address, unsigned size) -> std::optional<u64> {
        if (!range_within(address, size, memory.bytes.size())) return std::nullopt;
        return memory.get(address, size);
      },
      cpu, access, linear);
  // Entries that the walk may touch are looked at after it: what differs must be what the reference announced.
  struct Saved { u64 address; unsigned size; u64 value; };
  std::vector<Saved> saved;
  memory.before_exchange = [&](Gpa gpa) {
    const unsigned size = gpa.value() % 8 == 0 ? 8 : 4;  // 4 may be the last of the memory
    if (gpa.value() + size <= memory.bytes.size()) saved.push_back({gpa.value(), size, memory.get(gpa.value(), size)});
  };
  const auto mode = mode_of(cpu);
  const auto result = walk::walk(memory, mode, access_of(cpu, access), Gva{linear});
  memory.before_exchange = nullptr;

  std::string trouble;
  const auto differ = [&](const char* what, u64 ours, u64 theirs) {
    trouble = std::string(what) + ": walk " + std::to_string(ours) + ", reference " + std::to_string(theirs);
  };
  // Tables that refer to themselves use an entry twice; the walk then marks it for both, and its second exchange finds the first's A.
  std::map<u64, Saved> before, marks;
  for (const auto& s : saved) before.try_emplace(s.address, s);
  for (const auto& update : expected.updates) marks.try_emplace(update.address, Saved{update.address, update.size, 0}).first->second.value |= update.set;
  if (before.size() != marks.size()) differ("entries exchanged", before.size(), marks.size());
  for (const auto& [address, mark] : marks) {
    const auto found = before.find(address);
    const u64 was = found == before.end() ? 0 : found->second.value & low_bits(mark.size * 8);
    const u64 after = memory.get(address, mark.size);
    if (found == before.end() || after != (was | mark.value)) differ("A/D of an entry", after, was | mark.value);
  }
  for (auto s = saved.rbegin(); s != saved.rend(); ++s) memory.put(s->address, s->size, s->value);
  if (!trouble.empty()) return trouble;

  if (result) {
    if (expected.what != What::translated) { differ("translated, but outcome", 0, static_cast<u64>(expected.what)); return trouble; }
    if (result->gpa.value() != expected.physical) differ("gpa", result->gpa.value(), expected.physical);
    const unsigned bits = mode.paging == walk::Paging::none ? 32 : result->order.value() + k_page_shift;
    if (bits != expected.page_bits) differ("page bits", bits, expected.page_bits);
    const walk::Rights rights{expected.writable_page, expected.user_page, expected.executable_page};
    if (!(result->rights == rights)) trouble = "rights";
    return trouble;
  }
  const auto& failure = result.error();
  switch (failure.kind) {
    case walk::Failure::Kind::page_fault:
      if (expected.what != What::page_fault) differ("#PF, but outcome", failure.error_code, static_cast<u64>(expected.what));
      else if (failure.error_code != expected.error_code) differ("error code", failure.error_code, expected.error_code);
      break;
    case walk::Failure::Kind::non_canonical:
      if (expected.what != What::non_canonical) trouble = "non-canonical";
      break;
    case walk::Failure::Kind::table_unreachable:
      if (expected.what != What::no_memory) trouble = "table unreachable";
      else if (failure.table.value() != expected.physical) differ("table", failure.table.value(), expected.physical);
      break;
    case walk::Failure::Kind::contended: trouble = "contended"; break;
  }
  return trouble;
}
}  // namespace octavo::test
