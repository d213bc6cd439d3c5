// SPDX-License-Identifier: Apache-2.0
// libFuzzer: the input is what a hostile guest puts into its registers before each hypercall, with accesses to its memory, targets and a
// free CPU's work between them. After every call: a result that the interface has, clean tables, accounts that hold; at the end every frame is back.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "domain/domain.hpp"
#include "include/octavo/hypercall.h"
#include "tests/model/machine.hpp"
#include "tests/unit/vcpu_loop/fake_context.hpp"

using namespace octavo;

namespace {
constexpr u64 k_machine = u64{32} << 20;
constexpr u64 k_target = 0x380, k_low = 0x440, k_high = 0x11, k_high_base = 0x10'0003;  // frames

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}
void require(bool holds, const char* what) {
  if (!holds) broken(what);
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  [[nodiscard]] bool empty() const { return left_ == 0; }
  u8 byte() { return left_ == 0 ? u8{0} : (--left_, *data_++); }
  /// Near something that matters, or anything.
  u64 number() {
    constexpr u64 near[] = {0, 1, 0x200, k_low, k_high_base, k_high_base + k_high, u64{1} << 36, u64{1} << 52, u64{1} << 63, 0};
    const u8 what = byte();
    if (what < 0xE0) return near[what % std::size(near)] + byte() - u64{byte() % 4u} * 0x40;
    u64 value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

struct Guest {
  Guest() {
    std::destroy_at(&mm::machine());
    new (&mm::machine()) mm::Machine;
    const arch::MemoryRange ram[] = {{Hpa{0}, k_machine}};
    require(mm::initialize(ram, ram).has_value(), "the machine's memory");
    free_at_start = mm::machine().statistics().free_frames();
    policies->cpuid.build([](u32, u32) { return vcpu::CpuidResult{}; }, {.physical_bits = 40});
    policies->msrs.build(policies->cpuid, {});
    domain::ImageConfig config;
    config.name = "fuzz";
    config.memory = k_target * k_page_size;
    config.maximum_memory = (k_low + k_high) * k_page_size;
    const domain::Parts parts{DomainId{1}, 0, 0, context, *policies, extended_state};
    domain = std::make_unique<domain::Domain>(parts, config);
    const domain::ImageRange ranges[] = {{Gpa{0}, k_low * k_page_size}, {to_gpa(Gfn{k_high_base}), k_high * k_page_size}};
    domain->set_memory_map(ranges);
    require(domain->p2m().initialize(mm::machine(), {.domain = DomainId{1}, .tag = arch::TlbTag{1}, .table_frames = p2m::table_frames_for(domain->memory_map())}).has_value(), "tables");
    require(domain->pod().initialize(mm::machine(), k_target, k_low + k_high).has_value(), "the claim");
    for (const p2m::FrameRange& range : domain->memory_map()) require(domain->pod().add_entries(range.first, range.count).has_value(), "entries");
    domain->start();
  }
  ~Guest() {
    domain->pod().destroy();
    domain->p2m().destroy();
    domain.reset();
    require(mm::machine().statistics().free_frames() == free_at_start, "a frame is lost");
    require(simulated.mapped_windows == 1, "a window is left open");  // the frame table's
  }

  void step(Input& input) {
    const u8 what = input.byte() % 16;
    if (what < 11) return call(input);
    if (what == 11) static_cast<void>(domain->pod().set_target(input.number() % (k_low + k_high + 2), 1 + input.byte() % 64u));
    if (what == 12) static_cast<void>(domain->pod().tidy(1 + input.byte()));
    if (what > 12) {
      arch::MemoryFault fault;
      fault.gpa = to_gpa(Gfn{input.number() & 0xFFFFFFFFF});
      fault.write = what == 13;
      if (domain->memory_fault(fault) == vcpu::MemoryVerdict::retry && what == 13) {
        const u8 bytes[] = {1, 2, 3};
        static_cast<void>(domain->guest_memory().write(fault.gpa, bytes));
      }
      domain->memory_arrived();
    }
  }

  void call(Input& input) {
    using arch::Gpr;
    arch::GuestRegisters& regs = domain->vcpu().context().regs;
    const u8 number = input.byte();
    regs[Gpr::rax] = number < 0xF0 ? OCTAVO_HYPERCALL(2 + number % 5u) : input.number();
    regs[Gpr::rdi] = input.number();
    regs[Gpr::rsi] = input.number();
    regs[Gpr::r8] = input.byte() % 4 != 0 ? 0 : input.number();
    const u64 rsi = regs[Gpr::rsi], r8 = regs[Gpr::r8];
    domain->hypercall(domain->vcpu());
    const auto result = static_cast<i64>(regs[Gpr::rax]);
    require(result <= 0 && result >= -OCTAVO_EAGAIN, "a result that is none");
    require(regs[Gpr::rsi] == rsi, "an argument has changed");
    if (result == -OCTAVO_EAGAIN) require(regs[Gpr::r8] > r8, "a cursor that does not move");
  }

  void check() const {
    require(domain->p2m().audit().clean(), "the tables");
    const pod::Accounts accounts = domain->pod().accounts();
    require(accounts.hold(), "the accounts");
    require(accounts.populated + accounts.entries <= accounts.maximum, "more than the maximum");
  }

  model::SimulatedMachine simulated{k_machine};
  u64 free_at_start = 0;
  std::unique_ptr<vcpu::Policies> policies = std::make_unique<vcpu::Policies>();
  test::FakeContext context;
  alignas(64) u8 extended_state[k_page_size] = {};
  std::unique_ptr<domain::Domain> domain;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Guest guest;
  Input input{data, size};
  while (!input.empty()) {
    guest.step(input);
    guest.check();
  }
  return 0;
}
