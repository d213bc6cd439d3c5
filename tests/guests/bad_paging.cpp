// SPDX-License-Identifier: Apache-2.0
// Page tables where there is no memory, and CR3 itself pointing there. A read through such tables cannot be answered;
// the domain ends.
#include "paging.hpp"
#include "shutdown.hpp"

void guest_main() {
  only_on_octavo();
  const word hole = static_cast<word>(machine::ram_end() + k_gib), before = x86::cr3();
  expect_fault(x86::k_gp, 0, "CR3 with a bit beyond the physical address width is #GP",
               [=] { x86::cr3(before | bit(51)); });
  tap::equal(x86::cr3(), before, "and CR3 is as before");
  *paging::entry(before, paging::k_window, 4) = hole | paging::k_all;
  print("# use a page table beyond the RAM\n");
  uart::drain();
  (void)*at(paging::k_window);
  tap::check(false, "the machine went on after use of a page table beyond the RAM");
}
