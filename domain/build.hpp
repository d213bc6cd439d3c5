// SPDX-License-Identifier: Apache-2.0
// The steps of a domain's birth: what it will need, its memory and what lies in it, its first registers.
#pragma once
#include "domain/domain.hpp"
#include "domain/image.hpp"
#include "lib/crc32.hpp"
#include "p2m/backing.hpp"

namespace octavo::domain {

/// In frames of 4 KiB.
struct Needs {
  u64 memory_frames = 0;   ///< at the start; what is claimed
  u64 maximum_frames = 0;  ///< what the guest believes in
  u64 table_frames = 0;  ///< for the all-4K worst case (F7)
};
[[nodiscard]] Needs needs_of(const Image& image);

/// What the image allows and the processor can.
[[nodiscard]] p2m::OrderSet leaf_orders(const Image& image, bool machine_has_1g);

/// A birth in pieces (P15): tables reserved, every RAM range backed, 1G first, then 2M, then 4K, or where memory is below its maximum that much
/// claimed and the ranges marked as populated on demand (D2); then the segments copied and their CRCs compared.
class Birth {
 public:
  /// The domain's p2m has been initialized with `tables` of the tables that it needs. `file` is for the log.
  Birth(Domain& domain, const Image& image, u64 tables, std::string_view file);
  /// About `budget` frames of work; again until all is done. On any other error the domain is to be destroyed.
  [[nodiscard]] Result<void> some(u64 budget);
  /// Frames of memory that are there.
  [[nodiscard]] u64 done() const;
  [[nodiscard]] const Needs& needs() const { return needs_; }

 private:
  [[nodiscard]] Result<void> tables(u64& budget);
  [[nodiscard]] Result<void> back_ranges(u64& budget);
  [[nodiscard]] Result<void> mark_ranges(u64& budget);
  [[nodiscard]] Result<void> segments(u64& budget);

  Domain& domain_;
  const Image& image_;
  Needs needs_;
  std::string_view file_;
  u64 tables_;
  bool has_memory_ = false;
  p2m::Population population_{Gfn{0}, 0};  ///< of ranges()[range_ - 1]
  usize range_ = 0;
  p2m::Backing total_;
  usize segment_ = 0;
  u64 copied_ = 0;  ///< bytes of that segment
  Crc32 crc_;
};

/// The vCPU as a boot loader would leave it: flat segments, CPL 0, interrupts off.
void set_first_registers(arch::GuestContext& context, const BootRegisters& registers);
}  // namespace octavo::domain
