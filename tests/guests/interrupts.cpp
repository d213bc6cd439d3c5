// SPDX-License-Identifier: Apache-2.0
// The 8259 pair with the 8254, the UART and the RTC behind it: interrupts come once each, when IF and the shadows allow
// it.
#include "machine.hpp"
#include "tap.hpp"
#include "timer.hpp"
#include "uart.hpp"

using x86::inb;
using x86::outb;

namespace {
constexpr unsigned k_timer = 0, k_uart = 4, k_rtc = 8;
volatile u64 count[16], nmis = 0, strays = 0;
bool acknowledge = true;

void on_interrupt(Frame& f) {
  const unsigned irq = static_cast<unsigned>(f.vector) - pic::k_base;
  count[irq] = count[irq] + 1;
  if (irq != k_timer && irq != k_uart && irq != k_rtc) strays = strays + 1;
  if (acknowledge) pic::end_of_interrupt(irq);
}

void wait_for_request(unsigned irq) {
  while (!(pic::requests() >> irq & 1)) asm volatile("pause");
}

/// TSC between interrupts of the periodic timer, as a median.
u64 tick_length(u32 divisor) {
  static u64 deltas[64];
  pit::periodic(divisor);
  x86::sti_hlt_cli();
  u64 last = x86::rdtsc();
  for (u64& d : deltas) {
    x86::sti_hlt_cli();
    const u64 now = x86::rdtsc();
    d = now - last;
    last = now;
  }
  return median(deltas, 64);
}

void timer() {
  pic::enable_only(1 << k_timer);
  const u64 before = count[k_timer];
  const u64 length = tick_length(1193), twice = tick_length(2386);
  tap::check(count[k_timer] - before >= 130, "the periodic timer wakes HLT each time");
  const bool ratio = twice > length + length / 2 && twice < 3 * length;
  tap::check(ratio, "twice the divisor is about twice the TSC per tick (median of 64)");
  if (!ratio) print("# ", length, " and ", twice, "\n");
  pit::periodic(0);
  const u16 a = pit::read();
  for (unsigned i = 0; i < 1000; ++i) inb(0x80);
  tap::check(pit::read() != a, "the counter counts");

  // One-shots of every short length: the interrupt comes before STI, on STI, on HLT or behind it, and must be found
  // each time.
  constexpr unsigned k_times = 3000;
  const u64 start = count[k_timer];
  for (unsigned i = 0; i < k_times; ++i) {
    pit::one_shot(2 + i % 150);
    while (count[k_timer] == start + i) x86::sti_hlt_cli();
  }
  tap::equal(count[k_timer] - start, k_times,
             "3000 one-shots, each waited for with STI; HLT: no sleep for ever, none twice");
}

void windows() {
  pic::enable_only(1 << k_timer);
  const auto pending = [] {
    pit::one_shot(10);
    wait_for_request(k_timer);
    return count[k_timer];
  };
  u64 before = pending();
  for (unsigned i = 0; i < 100; ++i) x86::cpuid(0);
  tap::equal(count[k_timer], before, "with IF clear a pending interrupt waits, through exits too");
  u64 seen = 0;
  asm volatile("sti\n nop\n mov %1, %0\n cli" : "=r"(seen) : "m"(count[k_timer]) : "memory");
  tap::equal(seen, before + 1, "it comes after STI and one instruction");
  bool shadow = true, popf = true;
  for (unsigned i = 0; i < 200; ++i) {
    before = pending();
    asm volatile("sti\n cli" ::: "memory");
    shadow = shadow && count[k_timer] == before;
    asm volatile("sti\n nop\n cli" ::: "memory");
    shadow = shadow && count[k_timer] == before + 1;
  }
  tap::check(shadow, "STI; CLI lets none in, STI; NOP; CLI lets it in (200 times)");
  for (unsigned i = 0; i < 200; ++i) {
    before = pending();
    asm volatile("pushf\n orl $0x200, (%%rsp)\n popf\n cli" ::: "memory", "cc");
    popf = popf && count[k_timer] == before + 1;
  }
  tap::check(popf, "POPF has no shadow: POPF; CLI lets it in (200 times)");
  before = pending();
  x86::cr8(15);
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  x86::cr8(0);
  tap::equal(count[k_timer], before + 1, "CR8 = 15 does not hold back an 8259's interrupt");

  before = pending();
  pic::enable_only(0);
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  tap::equal(count[k_timer], before, "masked in the 8259 while pending, it does not come");
  pic::enable_only(1 << k_timer);
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  tap::equal(count[k_timer], before + 1, "unmasked, it does");

  acknowledge = false;
  before = pending();
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  tap::check(count[k_timer] == before + 1 && pic::in_service() == 1, "without an end of interrupt it stays in service");
  pending();
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  tap::equal(count[k_timer], before + 1, "and the next one waits");
  acknowledge = true;
  pic::end_of_interrupt(k_timer);
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  tap::check(count[k_timer] == before + 2 && pic::in_service() == 0, "until it has ended");
}

void uart_interrupt() {
  uart::drain();
  pic::enable_only(1 << k_uart);
  const u64 before = count[k_uart];
  outb(uart::k_mcr, 0x0B);  // OUT2 lets the interrupt through
  outb(uart::k_ier, 2);
  asm volatile("sti\n nop\n nop\n cli" ::: "memory");
  const u64 came = count[k_uart] - before;
  const u8 reason = inb(uart::k_iir), after = inb(uart::k_iir);
  bool each = true;
  for (unsigned i = 0; i < 20; ++i) {
    const u64 b = count[k_uart];
    outb(uart::k_data, i == 0 ? '#' : i == 19 ? '\n' : '.');
    while (count[k_uart] == b) x86::sti_hlt_cli();
    each = each && (inb(uart::k_iir) & 0x0F) == 2;
  }
  outb(uart::k_ier, 0);  // reports go through the same UART
  outb(uart::k_mcr, 3);
  tap::equal(came, 1, "an empty transmitter interrupts as soon as IER asks for it");
  tap::equal(reason & 0x0F, 2, "IIR says why");
  tap::equal(after & 1, 1, "and reading it took it back");
  tap::check(each, "each byte sent ends in an interrupt with IIR = 2");
}

u8 cmos(unsigned index) {
  outb(0x70, index);
  return inb(0x71);
}
void cmos(unsigned index, unsigned value) {
  outb(0x70, index);
  outb(0x71, value);
}

/// Waits for `n` more RTC interrupts, for at most so many ticks of a 100 Hz timer. Each needs register C to be read.
bool rtc_interrupts(unsigned n, u64 most_ticks, u8& reasons) {
  const u64 until = count[k_rtc] + n, end = count[k_timer] + most_ticks;
  while (count[k_rtc] < until && count[k_timer] < end) {
    x86::sti_hlt_cli();
    reasons = static_cast<u8>(reasons | cmos(0xC));
  }
  return count[k_rtc] >= until;
}

void rtc() {
  pit::periodic(11932);
  pic::enable_only(1 << k_timer | 1 << k_rtc);
  const u8 a = cmos(0xA), b = cmos(0xB);
  tap::check(cmos(0xD) & 0x80, "the RTC says that its battery is good");
  cmos(0xA, 0x26);  // 1024 Hz
  cmos(0xB, b | 0x40);
  cmos(0xC);
  u8 reasons = 0;
  tap::check(rtc_interrupts(100, 500, reasons), "100 periodic RTC interrupts come within 500 ticks of the timer");
  tap::check(reasons & 0x40, "register C says periodic");
  cmos(0xB, (b & 0x8F) | 0x10);
  cmos(0xC);
  reasons = 0;
  tap::check(rtc_interrupts(1, 500, reasons) && (reasons & 0x10),
             "an update-ended interrupt comes, and register C says so");
  for (unsigned index = 1; index <= 5; index += 2) cmos(index, 0xC0);  // any second, minute, hour
  cmos(0xB, (b & 0x8F) | 0x20);
  cmos(0xC);
  reasons = 0;
  tap::check(rtc_interrupts(1, 500, reasons) && (reasons & 0x20), "an alarm comes, and register C says so");
  cmos(0xB, b);
  cmos(0xA, a);
  cmos(0xC);
  const u8 century = cmos(0x32), year = cmos(9);
  tap::check(century == 0x20 && year >= 0x20, "the year (BCD) is plausible");
}
}  // namespace

void guest_main() {
  for (unsigned irq = 0; irq < 16; ++irq) set_handler(pic::k_base + irq, on_interrupt);
  set_handler(x86::k_nmi, [](Frame&) { nmis = nmis + 1; });
  pic::initialize();
  timer();
  windows();
  uart_interrupt();
  rtc();
  pic::enable_only(0);
  tap::equal(nmis, 0, "no NMI came");
  tap::equal(strays, 0, "no interrupt came on a line that was masked");
}
