// SPDX-License-Identifier: Apache-2.0
// The steps of a domain's birth: what it will need, its memory and what lies in it, its first registers.
#pragma once
#include "domain/domain.hpp"
#include "domain/image.hpp"

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

/// Backs every RAM range, 1G first, then 2M, then 4K, or where memory is below its maximum claims that much and marks the ranges
/// as populated on demand (D2); copies the segments and compares their CRCs. On an error the domain is to
/// be destroyed; `file` is for the log.
[[nodiscard]] Result<void> fill_memory(Domain& domain, const Image& image, std::string_view file);

/// The vCPU as a boot loader would leave it: flat segments, CPL 0, interrupts off.
void set_first_registers(arch::GuestContext& context, const BootRegisters& registers);
}  // namespace octavo::domain
