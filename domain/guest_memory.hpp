// SPDX-License-Identifier: Apache-2.0
// A domain's memory as walkers, the string port instructions and the hypervisor's own writes (clock page, segments) see it:
// through the p2m and a mapping handle for each access. What is not RAM answers not_found; a write to what the p2m forbids,
// not_permitted. A write leaves the mark that tells sweeps of it (D5). Callers hold the domain's lock.
#pragma once
#include "p2m/p2m.hpp"
#include "walk/memory.hpp"
#include "walk/peek.hpp"

namespace octavo::domain {

class DomainMemory final : public walk::GuestBytes, private p2m::Listener {
 public:
  explicit DomainMemory(p2m::P2m& p2m) : p2m_(p2m) { p2m_.set_listener(this); }
  ~DomainMemory() { p2m_.set_listener(nullptr); }
  DomainMemory(const DomainMemory&) = delete;
  DomainMemory& operator=(const DomainMemory&) = delete;

  Result<u64> read_entry(Gpa gpa, unsigned size) override;
  Result<bool> compare_exchange_entry(Gpa gpa, unsigned size, u64 expected, u64 desired) override;
  Result<> read(Gpa gpa, std::span<u8> out) override;
  Result<> write(Gpa gpa, std::span<const u8> in) override;
  [[nodiscard]] std::optional<u32> peek_executed(u64 cr3, u64 rip);
  // For walk::CodePath, in a read section.
  [[nodiscard]] std::optional<Hpa> locate(Gpa gpa);
  [[nodiscard]] u64 word(Hpa hpa) const;

 private:
  /// Where frames were found that were read lately. The p2m says, before a frame can go to anyone else, that it goes.
  static constexpr usize k_recent = 32;
  struct Recent {
    Gfn gfn{~u64{0}};
    Mfn mfn;
  };

  void unlinked(Gfn first, u64 count) override;
  Result<Mfn> readable(Gpa gpa) {
    const Gfn gfn = to_gfn(gpa);
    const Recent& recent = recent_[gfn.value() % k_recent];
    if (recent.gfn == gfn) [[likely]] return recent.mfn;
    return look_up_readable(gfn);
  }
  Result<Mfn> look_up_readable(Gfn gfn);
  Result<p2m::Translation> writable(Gpa gpa) const;

  p2m::P2m& p2m_;
  Recent recent_[k_recent];
  walk::CodePath code_path_;  ///< of the domain's vCPU; like recent_, it forgets when frames go
};
}  // namespace octavo::domain
