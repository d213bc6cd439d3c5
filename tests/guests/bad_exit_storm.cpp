// SPDX-License-Identifier: Apache-2.0
// A million exits with random arguments: CPUID leaves, ports, MSRs, hypercalls. Faults are expected; that the machine
// goes on is the test.
#include "machine.hpp"
#include "octavo/hypercall.h"
#include "random.hpp"
#include "tap.hpp"
#include "uart.hpp"

namespace {
constexpr u64 k_seed = 0x0C7A40;
constexpr unsigned k_exits = 1'000'000;
enum Kind : unsigned { k_cpuid, k_in, k_out, k_rdmsr, k_wrmsr, k_hypercall, k_kinds };

/// Ports with which a guest ends itself or garbles its own report: keyboard controller, port A, debug exit, reset
/// control, ACPI, COM1.
bool spared(u16 port) {
  const struct {
    u16 first, last;
  } ranges[] = {{0x60, 0x64}, {0x92, 0x92}, {0xF4, 0xF7}, {0xCF9, 0xCF9}, {0x600, 0x605}, {0x3F8, 0x3FF}};
  for (const auto& r : ranges)
    if (port + 3 >= r.first && port <= r.last) return true;
  return false;
}

/// MSRs that would change the mode under the guest's feet or let the hypervisor write into its memory, as asked: not a
/// fault of anyone.
bool spared_msr(u32 msr) {
  return msr == x86::k_msr_efer || msr == x86::k_msr_apic_base || (msr >= 0x4b564d00 && msr <= 0x4b564dff) ||
         msr == 0x11 || msr == 0x12;
}
constexpr u32 k_msrs[] = {0x10,       0x1B,       0x3A,       0x8B,       0xFE,       0x174,      0x175,
                          0x176,      0x179,      0x1A0,      0x1D9,      0x200,      0x250,      0x277,
                          0x2FF,      0x400,      0x480,      0x6E0,      0x800,      0x830,      0xC0000081,
                          0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103,
                          0xC0010010, 0xC0010015, 0xC001001F, 0xC0010114, 0xC0010117, 0xC0011029};

struct Storm {
  Random random{k_seed};
  u64 done[k_kinds]{}, faults[k_kinds]{}, unexpected = 0, size = 1;

  void one() {
    const unsigned kind = random.below(k_kinds);
    const u64 a = random.value(), b = random.value(), c = random.value();
    u16 port = static_cast<u16>(random.below(4) != 0 ? a & 0x7FF : a);
    u32 msr = random.below(2) != 0 ? k_msrs[random.below(sizeof k_msrs / sizeof *k_msrs)] : static_cast<u32>(a);
    size = random.below(3);
    Fault f;
    switch (kind) {
      case k_cpuid:
        f = attempt([&] {
          x86::cpuid(random.below(3) == 0 ? 0x40000000 + random.below(0x200) : static_cast<u32>(a),
                     static_cast<u32>(b));
        });
        break;
      case k_in:
        if (spared(port)) port = 0x80;
        f = attempt([&] {
          size == 0 ? void(x86::in<u8>(port)) : size == 1 ? void(x86::in<u16>(port)) : void(x86::in<u32>(port));
        });
        break;
      case k_out:
        if (machine::bare() || spared(port)) port = 0x80;  // QEMU's own devices are not what is tested
        f = attempt([&] {
          size == 0   ? x86::out(port, static_cast<u8>(b))
          : size == 1 ? x86::out(port, static_cast<u16>(b))
                      : x86::out(port, static_cast<u32>(b));
        });
        break;
      case k_rdmsr:
        f = attempt([&] { x86::rdmsr(msr); });
        break;
      case k_wrmsr:
        if (spared_msr(msr)) msr = 0xBAD;
        f = attempt([&] { x86::wrmsr(msr, b); });
        break;
      default: {
        u64 rax = random.below(2) != 0 ? OCTAVO_HYPERCALL(random.below(64)) : a;
        if (rax == OCTAVO_HYPERCALL(OCTAVO_HC_CONSOLE_WRITE)) rax = OCTAVO_HYPERCALL(OCTAVO_HC_VERSION);
        u64 rdi = b, rsi = c, rdx = a ^ c;
        f = attempt([&] {
          asm volatile("vmmcall" : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx)::"memory", "r8", "r10");
        });
      }
    }
    ++done[kind];
    if (!f) return;
    ++faults[kind];
    const bool may = kind == k_hypercall
                         ? machine::bare() && f.vector == x86::k_ud
                         : (kind == k_rdmsr || kind == k_wrmsr) && f.vector == x86::k_gp && f.error == 0;
    if (!may && unexpected++ == 0)
      print("# kind ", kind, " with ", hex(a), " ", hex(b), ": ", tap::describe(f).c_str(), "\n");
  }
};
constinit Storm storm;
}  // namespace

void guest_main() {
  print("# seed ", hex(k_seed), "\n");
  for (unsigned i = 0; i < k_exits; ++i) storm.one();
  uart::initialize();
  const char* const names[] = {"CPUID", "IN", "OUT", "RDMSR", "WRMSR", "VMMCALL"};
  for (unsigned k = 0; k < k_kinds; ++k) {
    print("# ", names[k], " ", storm.done[k], ", faults ", storm.faults[k], "\n");
    tap::check(storm.done[k] > k_exits / (2 * k_kinds), Text(names[k], " was done often").c_str());
  }
  tap::equal(storm.unexpected, 0, "no exit ended in an exception that it may not have");
  const auto vendor = x86::cpuid(0);
  tap::check(vendor.eax != 0 && vendor.ebx != 0, "the machine goes on");
}
