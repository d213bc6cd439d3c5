// SPDX-License-Identifier: Apache-2.0
// Hypercalls: registers in, a check of every argument, one call into one room, a result code out.
#include "include/octavo/hypercall.h"

#include "domain/domain.hpp"

namespace octavo::domain {

void Domain::hypercall(vcpu::Vcpu& vcpu) {
  arch::GuestRegisters& regs = vcpu.context().regs;
  const u64 code = regs[arch::Gpr::rax];
  i64 result = -OCTAVO_EUNSUPPORTED;
  if (code == OCTAVO_HYPERCALL(OCTAVO_HC_VERSION)) {
    regs[arch::Gpr::rdi] = OCTAVO_ABI_VERSION;
    result = 0;
  } else if (code == OCTAVO_HYPERCALL(OCTAVO_HC_CONSOLE_WRITE)) {
    const u64 character = regs[arch::Gpr::rdi];
    if (character > 0xFF) {
      result = -OCTAVO_EINVALID;
    } else {
      console_output(static_cast<u8>(character));
      result = 0;
    }
  } else {
    ++unknown_hypercalls_;
  }
  regs[arch::Gpr::rax] = static_cast<u64>(result);
}
}  // namespace octavo::domain
