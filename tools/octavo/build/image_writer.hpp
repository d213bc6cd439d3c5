// SPDX-License-Identifier: Apache-2.0
// A domain, planned, as the bytes of a domain image (include/octavo/domain_image.h). The same plan gives the same bytes.
#pragma once
#include "tools/octavo/build/config.hpp"
#include "tools/octavo/build/guest_memory.hpp"

namespace octavo::build {

struct DomainPlan {
  DomainConfig config;
  domain::KernelKind kind = domain::KernelKind::linux_bzimage;
  domain::BootRegisters registers;
  std::vector<Range> ranges;
  std::vector<Segment> segments;  ///< ascending
};

[[nodiscard]] Outcome<Bytes> write_image(const DomainPlan& plan);
}  // namespace octavo::build
