// SPDX-License-Identifier: Apache-2.0
// IN and OUT of all sizes, ports that nobody owns, the string forms through the guest's own paging, faults in the
// middle of a string.
#include "machine.hpp"
#include "paging.hpp"
#include "tap.hpp"
#include "uart.hpp"

using x86::in;
using x86::out;

namespace {
constexpr u16 k_nobody = 0x0A20;  // neither Octavo nor QEMU's pc machine has anything there
constexpr word k_low = paging::k_window, k_high = k_low + k_page;

struct Strings {
  u64 count, address;
};
Strings outsb(u16 port, word from, u64 count) {
  asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
  return {count, from};
}
Strings insb(u16 port, word to, u64 count) {
  asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
  return {count, to};
}

void single() {
  for (unsigned value = 0; value < 256; value += 85) {
    out<u8>(uart::k_scratch, static_cast<u8>(value));
    tap::equal(in<u8>(uart::k_scratch), value, Text("the UART's scratch register keeps ", hex(value)).c_str());
  }
  tap::equal(in<u8>(k_nobody), 0xFF, "IN of 1 byte from nobody's port is all ones");
  tap::equal(in<u16>(k_nobody), 0xFFFF, "IN of 2 bytes");
  tap::equal(in<u32>(k_nobody), 0xFFFFFFFF, "IN of 4 bytes");
  expect_no_fault("OUT of 1, 2, 4 bytes to nobody's port is ignored", [] {
    out<u8>(k_nobody, 1);
    out<u16>(k_nobody, 2);
    out<u32>(k_nobody, 4);
  });
  u64 rax = 0x1122334455667788;
  asm volatile("inb %w1, %b0" : "+a"(rax) : "d"(u16{uart::k_scratch}));
  tap::equal(rax, 0x11223344556677FF, "IN of 1 byte leaves the rest of RAX");
  asm volatile("inw %w1, %w0" : "+a"(rax) : "d"(k_nobody));
  tap::equal(rax, 0x112233445566FFFF, "IN of 2 bytes leaves the rest of RAX");
  rax = 0x1122334455667788;
  asm volatile("inl %w1, %k0" : "+a"(rax) : "d"(k_nobody));
  tap::equal(rax, 0xFFFFFFFF, "IN of 4 bytes clears the upper half of RAX");
  out<u8>(0x80, 0x5A);
  tap::check(true, "the immediate form returns");
}

void strings(word low_frame, word high_frame) {
  auto* const low = at<u8>(low_frame);
  auto* const high = at<u8>(high_frame);
  // Three bytes of one page, two of the next, which is another frame elsewhere.
  for (unsigned i = 0; i < 3; ++i) low[k_page - 3 + i] = static_cast<u8>(0x10 + i);
  high[0] = 0x77;
  high[1] = 0x42;
  auto r = outsb(uart::k_scratch, k_high - 3, 5);
  tap::check(r.count == 0 && r.address == k_high + 2,
             "REP OUTSB over a page boundary ends with RCX = 0 and RSI behind it");
  tap::equal(in<u8>(uart::k_scratch), 0x42, "and has written the last byte last");
  r = outsb(uart::k_scratch, k_high - 3, 4);
  tap::equal(in<u8>(uart::k_scratch), 0x77, "the byte after the boundary comes from the next page's frame");

  out<u8>(uart::k_scratch, 0xC3);
  low[k_page - 3] = 0;
  high[2] = 0;
  r = insb(uart::k_scratch, k_high - 2, 4);
  tap::check(r.count == 0 && r.address == k_high + 2,
             "REP INSB over a page boundary ends with RCX = 0 and RDI behind it");
  tap::check(low[k_page - 2] == 0xC3 && low[k_page - 1] == 0xC3 && high[0] == 0xC3 && high[1] == 0xC3,
             "and has written both frames");
  tap::check(low[k_page - 3] == 0 && high[2] == 0, "and nothing before or behind");

  r = outsb(uart::k_scratch, 0x0000900000000000, 0);
  tap::check(r.count == 0 && r.address == 0x0000900000000000, "REP OUTSB with RCX = 0 touches nothing");

  low[10] = 1;
  low[9] = 2;
  low[8] = 3;
  word si = k_low + 10;
  u64 count = 3;
  asm volatile("std\n rep outsb\n cld" : "+S"(si), "+c"(count) : "d"(u16{uart::k_scratch}) : "memory");
  tap::check(count == 0 && si == k_low + 7 && in<u8>(uart::k_scratch) == 3, "with DF set it goes downwards");

  word di = k_low + 0x100;
  count = 4;
  for (unsigned i = 0; i < 32; ++i) low[0x100 + i] = 0;
  asm volatile("rep insl" : "+D"(di), "+c"(count) : "d"(k_nobody) : "memory");
  bool ones = true;
  for (unsigned i = 0; i < 16; ++i) ones = ones && low[0x100 + i] == 0xFF;
  tap::check(ones && low[0x110] == 0 && di == k_low + 0x110 && count == 0, "REP INSD writes four bytes each");
  di = k_low + 0x200;
  low[0x202] = 0;
  asm volatile("insw" : "+D"(di) : "d"(k_nobody) : "memory");
  tap::check(low[0x200] == 0xFF && low[0x201] == 0xFF && low[0x202] == 0 && di == k_low + 0x202,
             "INSW without REP writes two");

  static u8 near[1] = {0x99};
  word narrow = address_of(near[0]) | word{0xABCD} << 32;
  asm volatile("addr32 outsb" : "+S"(narrow) : "d"(u16{uart::k_scratch}) : "memory");
  tap::check(in<u8>(uart::k_scratch) == 0x99 && narrow == address_of(near[0]) + 1, "with 32-bit addresses it uses ESI");
  static u8 far_away[4] = {0, 0, 0x66, 0};
  x86::wrmsr(x86::k_msr_fs_base, address_of(far_away[0]));
  word offset = 2;
  asm volatile("outsb %%fs:(%%rsi), (%%dx)" : "+S"(offset) : "d"(u16{uart::k_scratch}) : "memory");
  tap::check(in<u8>(uart::k_scratch) == 0x66 && offset == 3, "OUTSB obeys a segment override");
}

u64 fill_in_frame = 0;
void map_and_go_on(Frame&) {
  paging::map(k_high, fill_in_frame, 1);
}

void faults(word low_frame, word high_frame) {
  paging::unmap(k_high);
  out<u8>(uart::k_scratch, 0);
  at<u8>(low_frame)[k_page - 1] = 0xAB;
  Fault f = expect_fault(x86::k_pf, 0, "REP OUTSB into an unmapped page is #PF",
                         [] { outsb(uart::k_scratch, k_high - 2, 6); });
  tap::equal(f.address, k_high, "CR2 is the page's first byte");
  tap::equal(f.frame.cx, 4, "RCX counts what is still to do");
  tap::equal(f.frame.si, k_high, "RSI is at the byte that faulted");
  tap::equal(in<u8>(uart::k_scratch), 0xAB, "what came before was written");
  f = expect_fault(x86::k_pf, x86::k_pf_write, "REP INSB into an unmapped page is #PF for a write",
                   [] { insb(uart::k_scratch, k_high - 3, 9); });
  tap::check(f.address == k_high && f.frame.cx == 6 && f.frame.di == k_high, "with CR2, RCX and RDI precise");

  fill_in_frame = high_frame;
  at<u8>(high_frame)[3] = 0xE7;
  set_handler(x86::k_pf, map_and_go_on);
  const auto r = outsb(uart::k_scratch, k_high - 2, 6);
  set_handler(x86::k_pf, nullptr);
  tap::check(r.count == 0 && r.address == k_high + 4 && in<u8>(uart::k_scratch) == 0xE7,
             "once mapped by the handler, the rest is done");

  paging::map(k_high, high_frame, 1, paging::k_present | paging::k_user);
  f = expect_fault(x86::k_pf, x86::k_pf_write | x86::k_pf_present, "REP INSB into a read-only page is #PF",
                   [] { insb(uart::k_scratch, k_high - 1, 2); });
  tap::check(f.address == k_high && f.frame.cx == 1 && f.frame.di == k_high, "with CR2, RCX and RDI precise");
  expect_fault(x86::k_gp, 0, "OUTSB from a non-canonical address is #GP",
               [] { outsb(uart::k_scratch, 0x0000900000000000, 1); });

  const auto accessed = [&](word va) { return *paging::entry(reinterpret_cast<word>(guest_pml4), va, 1); };
  paging::map(k_high, high_frame, 1);
  outsb(uart::k_scratch, k_high, 1);
  tap::equal(accessed(k_high) & (paging::k_accessed | paging::k_dirty), paging::k_accessed,
             "OUTSB sets the accessed bit only");
  insb(uart::k_scratch, k_high, 1);
  tap::equal(accessed(k_high) & (paging::k_accessed | paging::k_dirty), paging::k_accessed | paging::k_dirty,
             "INSB sets the dirty bit too");
}

void privilege() {
  expect_user_fault(x86::k_gp, 0, "IN at CPL 3 with IOPL 0 is #GP", [] { in<u8>(uart::k_scratch); });
  expect_user_fault(x86::k_gp, 0, "OUT at CPL 3 with IOPL 0 is #GP", [] { out<u8>(uart::k_scratch, 1); });
  expect_user_fault(x86::k_gp, 0, "OUTSB at CPL 3 with IOPL 0 is #GP", [] { outsb(uart::k_scratch, k_low, 1); });
  out<u8>(uart::k_scratch, 0x3C);
  u8 read = 0;
  const Fault f = attempt_user([&] { read = in<u8>(uart::k_scratch); }, 2 | x86::k_flag_iopl3);
  tap::expect(f, k_no_fault, "IN at CPL 3 with IOPL 3 works");
  tap::equal(read, 0x3C, "and reads the port");
  paging::map(k_high, 0, 1, 0);
  paging::map(k_low, *paging::entry(reinterpret_cast<word>(guest_pml4), k_low, 1) & paging::k_address, 1,
              paging::k_present | paging::k_write);
  expect_user_fault(
      x86::k_pf, x86::k_pf_user | x86::k_pf_present, "OUTSB at CPL 3 from a supervisor page is #PF",
      [] { outsb(uart::k_scratch, k_low, 1); }, 2 | x86::k_flag_iopl3);
}
}  // namespace

void guest_main() {
  const word high_frame = machine::allocate_page(), low_frame = machine::allocate_page();  // not adjacent in this order
  paging::map(k_low, low_frame, 1);
  paging::map(k_high, high_frame, 1);
  single();
  strings(low_frame, high_frame);
  faults(low_frame, high_frame);
  privilege();
}
