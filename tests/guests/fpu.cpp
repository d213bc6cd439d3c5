// SPDX-License-Identifier: Apache-2.0
// x87, SSE and AVX registers keep what they hold through thousands of exits with interrupts in between; XSAVE and
// XRSTOR work.
#include "machine.hpp"
#include "random.hpp"
#include "tap.hpp"
#include "timer.hpp"

namespace {
struct alignas(64) Area {
  u8 bytes[4096];
};
Area pattern[2], got;
volatile u64 ticks = 0;
u64 features = 0;

void xsave(Area& to) {
  asm volatile("xsave64 %0"
               : "+m"(to)
               : "a"(static_cast<u32>(features)), "d"(static_cast<u32>(features >> 32))
               : "memory");
}
void xrstor(const Area& from) {
  asm volatile("xrstor64 %0" ::"m"(from), "a"(static_cast<u32>(features)), "d"(static_cast<u32>(features >> 32))
               : "memory");
}

/// Random numbers in every register; control words as after reset but for the rounding.
void make(Area& area, u64 seed) {
  __builtin_memset(&area, 0, sizeof area);
  Random random(seed);
  const auto put = [&](unsigned offset, u64 value, unsigned size) {
    __builtin_memcpy(area.bytes + offset, &value, size);
  };
  put(0, seed & 1 ? 0x037F : 0x0F7F, 2);   // FCW
  put(4, 0xFF, 1);                         // FTW: all valid
  put(24, seed & 1 ? 0x1F80 : 0x7F80, 4);  // MXCSR
  for (unsigned i = 0; i < 8; ++i) {
    put(32 + 16 * i, random.next() | bit(63), 8);  // the integer bit, so that the number is a normal one
    put(32 + 16 * i + 8, 0x3FFF + i, 2);
  }
  for (unsigned i = 0; i < 32; ++i) put(160 + 8 * i, random.next(), 8);
  if (features & 4) {
    const u32 offset = x86::cpuid(0xD, 2).ebx;
    for (unsigned i = 0; i < 32; ++i) put(offset + 8 * i, random.next(), 8);
  }
  put(512, features, 8);  // XSTATE_BV
}

/// Compares what the registers hold with a pattern: control words, x87, XMM and the upper halves.
bool holds(const Area& expected) {
  __builtin_memset(&got, 0, sizeof got);
  xsave(got);
  const auto same = [&](unsigned offset, unsigned size) {
    return __builtin_memcmp(got.bytes + offset, expected.bytes + offset, size) == 0;
  };
  bool all = same(0, 2) && same(4, 1) && same(24, 4) && same(160, 256);
  for (unsigned i = 0; i < 8; ++i) all = all && same(32 + 16 * i, 10);
  if (features & 4) all = all && same(x86::cpuid(0xD, 2).ebx, 256);
  return all;
}

bool through(const Area& a, void (*exit)(), unsigned times) {
  xrstor(a);
  for (unsigned i = 0; i < times; ++i) exit();
  return holds(a);
}
}  // namespace

void guest_main() {
  if (!(x86::cpuid(1).ecx & bit(26))) return tap::skip("x87, SSE and AVX state", "no XSAVE");
  x86::cr4(x86::cr4() | x86::k_cr4_osfxsr | x86::k_cr4_osxmmexcpt | x86::k_cr4_osxsave);
  u32 mxcsr = 0;
  asm volatile("stmxcsr %0" : "=m"(mxcsr));
  tap::equal(mxcsr, 0x1F80, "MXCSR is as after reset: all exceptions masked");
  features = x86::cpuid(0xD).eax & 7;
  x86::xsetbv(0, features);
  print("# features ", hex(features), "\n");
  make(pattern[0], 0x0123456789ABCDEF);
  make(pattern[1], 0x0FEDCBA987654320);
  xrstor(pattern[0]);
  tap::check(holds(pattern[0]) && !holds(pattern[1]), "XSAVE gives back what XRSTOR loaded");

  pic::initialize();
  set_handler(0x20, [](Frame&) {
    ticks = ticks + 1;
    pic::end_of_interrupt(0);
  });
  const struct {
    void (*exit)();
    unsigned times;
    const char* name;
  } exits[] = {
      {[] { x86::cpuid(0); }, 5000, "CPUID"},
      {[] { x86::outb(0x80, 0); }, 5000, "OUT"},
      {[] { x86::rdmsr(x86::k_msr_efer); }, 1000, "RDMSR"},
      {[] { x86::cr0(x86::cr0()); }, 1000, "MOV CR0"},
      {[] { x86::sti_hlt_cli(); }, 200, "HLT"},
      {[] {
         x86::sti();
         x86::cpuid(0);
         x86::cli();
       },
       5000, "CPUID with interrupts"},
  };
  pit::periodic(1193);
  pic::enable_only(1);
  for (const auto& e : exits)
    for (unsigned i = 0; i < 2; ++i)
      tap::check(through(pattern[i], e.exit, e.times),
                 Text("state ", i, " is kept over ", e.times, " times ", e.name).c_str());
  tap::check(ticks >= 400, "and at least 400 timer interrupts came in between");
  pic::enable_only(0);

  bool alternating = true;
  for (unsigned i = 0; i < 2000; ++i) {
    xrstor(pattern[i & 1]);
    x86::cpuid(0);
    alternating = alternating && holds(pattern[i & 1]);
  }
  tap::check(alternating, "two thousand times one state after the other");
  tap::equal(x86::xgetbv(0), features, "XCR0 is as it was set");

  // Without AVX in XCR0 the upper halves are out of reach but not lost.
  if (features & 4) {
    xrstor(pattern[0]);
    x86::xsetbv(0, 3);
    for (unsigned i = 0; i < 100; ++i) x86::cpuid(0);
    x86::xsetbv(0, features);
    tap::check(holds(pattern[0]), "AVX state outlives a time in which XCR0 hides it");
    x86::xsetbv(0, 3);
    expect_fault(x86::k_ud, 0, "AVX without XCR0.AVX is #UD",
                 [] { asm volatile(".byte 0xC5, 0xFC, 0x57, 0xC0"); });  // vxorps ymm0, ymm0, ymm0
    x86::xsetbv(0, features);
  } else {
    tap::skip("AVX", "not offered");
  }
}
