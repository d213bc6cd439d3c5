// SPDX-License-Identifier: Apache-2.0
// An IDT that ends before its entries, one of garbage, and one in a hole: each INT is a fault that can be caught as
// long as #GP's own gate is there. The last IDT has nothing, and the processor shuts down.
#include "shutdown.hpp"

void guest_main() {
  const x86::TablePointer good = x86::sidt();
  const auto with_limit = [&](u16 limit, auto&& action) {
    const Fault f = attempt([&] {
      x86::lidt({limit, good.base});
      action();
    });
    x86::lidt(good);
    return f;
  };
  Fault f = with_limit(16 * 32 - 1, [] { asm volatile("int $0x40"); });
  tap::check(f.vector == x86::k_gp, "INT beyond the IDT's limit is #GP");
  f = with_limit(16 * 8 - 1 + 16, [] { asm volatile("int $0x40"); });
  tap::check(f.vector == x86::k_df, "without a gate for #GP it is #DF");
  print("# now an IDT without entries\n1..2\n");
  uart::drain();
  x86::lidt({0, 0x1000});
  asm volatile("int3");
}
