// SPDX-License-Identifier: Apache-2.0
// A domain's memory as walkers, the string port instructions and the hypervisor's own writes (clock page, segments) see it:
// through the p2m and a mapping handle for each access. What is not RAM answers not_found; a write to what the p2m forbids,
// not_permitted. Callers hold the domain's lock.
#pragma once
#include "p2m/p2m.hpp"
#include "walk/memory.hpp"

namespace octavo::domain {

class DomainMemory final : public walk::GuestBytes {
 public:
  explicit DomainMemory(p2m::P2m& p2m) : p2m_(p2m) {}

  Result<u64> read_entry(Gpa gpa, unsigned size) override;
  Result<bool> compare_exchange_entry(Gpa gpa, unsigned size, u64 expected, u64 desired) override;
  Result<> read(Gpa gpa, std::span<u8> out) override;
  Result<> write(Gpa gpa, std::span<const u8> in) override;

 private:
  enum class Want : u8 { read, write };
  Result<Mfn> frame(Gpa gpa, Want want) const;
  p2m::P2m& p2m_;
};
}  // namespace octavo::domain
