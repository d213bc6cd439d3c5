// SPDX-License-Identifier: Apache-2.0
// The loop around the world switch, against a scripted processor: what is injected when, what ends a slice, what stops a guest.
#include <catch2/catch.hpp>

#include <cstring>

#include "fake_context.hpp"
#include "tests/model/machine.hpp"
#include "vcpu/vcpu.hpp"
#include "walk/memory.hpp"

using namespace octavo;
using arch::ExitKind;
using arch::Gpr;
using test::FakeContext;

namespace {

/// 64 KiB of guest memory from 0, a port that remembers, an interrupt line.
class FakeEnvironment final : public vcpu::Environment, private walk::GuestBytes {
 public:
  std::vector<u8> memory = std::vector<u8>(64 * 1024);
  std::vector<std::pair<u16, u32>> writes;
  std::vector<u8> interrupts;  ///< vectors that wait
  std::vector<vcpu::CrashCause> crashes;
  unsigned hypercalls = 0;
  unsigned delays = 0;
  Gpa hole{};
  vcpu::MemoryVerdict verdict = vcpu::MemoryVerdict::stop;
  u32 port_value = 0;

  u32 port_read(u16, unsigned) override { return port_value; }
  void port_write(u16 port, unsigned, u32 value) override { writes.emplace_back(port, value); }
  bool interrupt_pending() override { return !interrupts.empty(); }
  u8 acknowledge_interrupt() override {
    const u8 vector = interrupts.front();
    interrupts.erase(interrupts.begin());
    return vector;
  }
  vcpu::MemoryVerdict memory_fault(const arch::MemoryFault& fault) override {
    hole = fault.gpa;
    return verdict;
  }
  void hypercall(vcpu::Vcpu&) override { ++hypercalls; }
  void clock_page(vcpu::Vcpu&, Gpa, vcpu::ClockPage) override {}
  void tsc_written(u64, u64) override {}
  void interrupt_delayed() override { ++delays; }
  void crashed(vcpu::Vcpu&, vcpu::CrashCause cause) override { crashes.push_back(cause); }
  walk::GuestBytes& guest_memory() override { return *this; }
  std::optional<u32> peek_executed(u64, u64) override { return std::nullopt; }

 private:
  Result<u64> read_entry(Gpa, unsigned) override { return fail(Error::not_found); }
  Result<bool> compare_exchange_entry(Gpa, unsigned, u64, u64) override { return fail(Error::not_found); }
  Result<> read(Gpa gpa, std::span<u8> out) override {
    if (!range_within(gpa.value(), out.size(), memory.size())) return fail(Error::not_found);
    std::memcpy(out.data(), &memory[gpa.value()], out.size());
    return {};
  }
  Result<> write(Gpa, std::span<const u8>) override { return fail(Error::not_permitted); }
};

struct Fixture {
  model::SimulatedMachine machine{k_page_size};  // whose TLBs the loop flushes
  FakeContext context;
  FakeEnvironment environment;
  vcpu::Policies policies;
  mm::TagUsers users;
  alignas(64) u8 extended_state[4096] = {};
  vcpu::Vcpu vcpu{context, environment, users, policies, extended_state, 0};

  Fixture() { context.regs.rip = 0x1000; }
  void code(std::initializer_list<u8> bytes) { std::copy(bytes.begin(), bytes.end(), environment.memory.begin() + 0x1000); }
  void play(ExitKind kind, auto&& change) {
    FakeContext::Step step;
    step.exit.kind = kind;
    change(step.exit);
    context.script.push_back(step);
  }
  void play(ExitKind kind) {
    play(kind, [](arch::Exit&) {});
  }
};
constexpr u64 k_interrupts_on = arch::rflags::fixed | arch::rflags::if_;
}  // namespace

TEST_CASE("a host interrupt ends the slice and leaves the guest runnable") {
  Fixture f;
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK_FALSE(f.vcpu.halted());
}

TEST_CASE("a pending interrupt is injected when the guest can take it") {
  Fixture f;
  f.context.regs.rflags = k_interrupts_on;
  f.environment.interrupts = {0x30};
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  REQUIRE(f.context.injected.size() == 1);
  CHECK(f.context.injected[0].kind == arch::Event::Kind::external_interrupt);
  CHECK(f.context.injected[0].vector == 0x30);
}

TEST_CASE("with interrupts off a window is asked for, and the interrupt stays pending") {
  Fixture f;
  f.environment.interrupts = {0x30};
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.windows_requested == 1);
  CHECK(f.context.injected.empty());
  CHECK(f.environment.interrupts.size() == 1);
}

TEST_CASE("a backend that cannot open a window just now: the guest is made to exit soon") {
  Fixture f;
  f.context.regs.rflags = k_interrupts_on;
  f.context.shadow = f.context.refuse_window = true;
  f.environment.interrupts = {0x30};
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.environment.delays == 1);
  CHECK(f.environment.interrupts.size() == 1);
}

TEST_CASE("STI HLT with an interrupt pending: HLT completes, then the interrupt is taken, no sleep") {
  Fixture f;
  f.code({0xF4});
  f.context.regs.rflags = k_interrupts_on;
  f.context.shadow = f.context.refuse_window = true;
  f.environment.interrupts = {0x20};
  f.play(ExitKind::halt);
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.regs.rip == 0x1001);
  REQUIRE(f.context.injected.size() == 1);
  CHECK(f.context.injected[0].vector == 0x20);
}

TEST_CASE("HLT with nothing pending sleeps until an interrupt is") {
  Fixture f;
  f.code({0xF4});
  f.context.regs.rflags = k_interrupts_on;
  f.play(ExitKind::halt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::halted);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::halted);  // still nothing
  f.environment.interrupts = {0x21};
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.injected.size() == 1);
}

TEST_CASE("HLT with interrupts off is the end of a guest that nothing can wake") {
  Fixture f;
  f.code({0xF4});
  f.play(ExitKind::halt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::stopped);
  CHECK(f.environment.crashes == std::vector{vcpu::CrashCause::halted_for_ever});
}

TEST_CASE("IN changes as much of RAX as the instruction does") {
  const auto sized = GENERATE(std::pair<u8, u64>{u8{1}, 0x11223344556677AA}, std::pair<u8, u64>{u8{2}, 0x112233445566BBAA},
                              std::pair<u8, u64>{u8{4}, 0xDDCCBBAA});
  Fixture f;
  f.context.regs[Gpr::rax] = 0x1122334455667788;
  f.environment.port_value = 0xDDCCBBAA;
  f.play(ExitKind::port_io, [&](arch::Exit& exit) { exit.io = {.port = 0x80, .size = sized.first, .is_in = true}; exit.next_rip = 0x1001; });
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.regs[Gpr::rax] == sized.second);
  CHECK(f.context.regs.rip == 0x1001);
}

TEST_CASE("a completed instruction under TF raises #DB with DR6.BS") {
  Fixture f;
  f.context.regs.rflags = arch::rflags::fixed | arch::rflags::tf;
  f.play(ExitKind::port_io, [](arch::Exit& exit) { exit.io = {.port = 0x80, .size = 1}; exit.next_rip = 0x1001; });
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  REQUIRE(f.context.injected.size() == 1);
  CHECK(f.context.injected[0].vector == arch::vector::db);
  CHECK((f.context.state.dr6 & (1u << 14)) != 0);
}

TEST_CASE("single-stepped string output traps after each element") {
  Fixture f;
  f.code({0xF3, 0x6E});  // rep outsb
  f.context.segments[arch::SegmentName::ds] = {16, arch::segment_attributes::data32, ~0u, 0};
  f.context.regs.rflags = arch::rflags::fixed | arch::rflags::tf;
  f.context.regs[Gpr::rcx] = 3;
  f.context.regs[Gpr::rsi] = 0x2000;
  for (unsigned left = 3; left > 0; --left) {
    f.play(ExitKind::port_io, [](arch::Exit& exit) { exit.io = {.port = 0x80, .size = 1, .is_string = true, .is_repeated = true}; exit.next_rip = 0x1002; });
    f.context.script.back().before = [left](FakeContext& context) { CHECK(context.regs[Gpr::rcx] == left); };
  }
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.environment.writes.size() == 3);
  CHECK(f.context.injected.size() == 3);
  CHECK(f.context.regs.rip == 0x1002);
}

TEST_CASE("an event whose delivery needs memory that is yet to be found: the host's interrupts come first, each time") {
  Fixture f;
  f.environment.verdict = vcpu::MemoryVerdict::retry;
  for (unsigned i = 0; i < 2; ++i) {
    f.play(ExitKind::memory);
    f.context.script.back().before = [](FakeContext& context) { context.inject(arch::Event::interrupt(0x30)); };  // it was not delivered
  }
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.script.size() == 1);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.context.injected.size() == 1);
}

TEST_CASE("whatever instruction it was that needs memory: a vCPU that is to wait does not go on") {
  Fixture f;
  f.environment.verdict = vcpu::MemoryVerdict::wait;
  const auto kind = GENERATE(ExitKind::memory, ExitKind::control_register);
  f.code({0x0F, 0x01, 0x35, 0x00, 0x00, 0x10, 0x00});  // lmsw [0x100000]
  f.play(kind);
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::waiting);
  CHECK(f.context.script.size() == 1);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
}

TEST_CASE("a debug exception goes to the guest without DR7.GD, as its delivery leaves it") {
  Fixture f;
  f.context.state.dr6 = 1u << 13;  // BD: the processor said why
  f.context.state.dr7 = 0x400 | arch::dr7::gd;
  f.play(ExitKind::exception, [](arch::Exit& exit) { exit.vector = arch::vector::db; });
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);  // the host's own interrupts first
  CHECK(f.context.injected.empty());
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  REQUIRE(f.context.injected.size() == 1);
  CHECK(f.context.injected[0].vector == arch::vector::db);
  CHECK(f.context.state.dr7 == 0x400);
  CHECK(f.context.state.dr6 == 1u << 13);
}

TEST_CASE("an exit whose instruction is another by now is tried again, one that stays so stops the guest") {
  Fixture f;
  f.code({0x90});
  const auto kind = GENERATE(ExitKind::cpuid, ExitKind::halt, ExitKind::read_msr, ExitKind::write_msr, ExitKind::hypercall, ExitKind::cache_control,
                             ExitKind::control_register, ExitKind::set_xcr);
  f.context.regs[Gpr::rcx] = 0x10;  // an MSR that may be read and written
  SECTION("a few times") {
    for (unsigned i = 0; i < 8; ++i) f.play(kind);
    f.play(ExitKind::interrupt);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
    CHECK(f.context.dropped_translations == 8);
    CHECK(f.context.regs.rip == 0x1000);
    CHECK(f.environment.crashes.empty());
  }
  SECTION("for ever") {
    for (unsigned i = 0; i < 1000; ++i) f.play(kind);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::stopped);
    CHECK(f.environment.crashes == std::vector{vcpu::CrashCause::unreadable_instruction});
  }
  SECTION("often, but with instructions completed in between") {
    const auto good = [](FakeContext& context) { context.regs.rip = 0x1000; };
    for (unsigned i = 0; i < 1000; ++i) {
      f.play(kind);
      f.play(ExitKind::port_io, [](arch::Exit& exit) { exit.io = {.port = 0x80, .size = 1}; exit.next_rip = 0x1001; });
      f.play(ExitKind::interrupt_window);
      f.context.script.back().before = good;
    }
    f.play(ExitKind::interrupt);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
    CHECK(f.environment.crashes.empty());
  }
}

TEST_CASE("LMSW from memory that does not exist stops the guest") {
  Fixture f;
  f.code({0x0F, 0x01, 0x35, 0x00, 0x00, 0x10, 0x00});  // lmsw [0x100000]
  f.context.segments[arch::SegmentName::ds] = {16, arch::segment_attributes::data32, ~0u, 0};
  f.play(ExitKind::control_register);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::stopped);
  CHECK(f.environment.crashes == std::vector{vcpu::CrashCause::memory_hole});
  CHECK(f.environment.hole == Gpa{0x100000});
}

TEST_CASE("VMCALL on AMD arrives as #UD and is the hypercall that it is on Intel, other bytes stay #UD") {
  Fixture f;
  SECTION("VMCALL at CPL 0") {
    f.code({0x0F, 0x01, 0xC1});
    f.play(ExitKind::exception, [](arch::Exit& exit) { exit.vector = arch::vector::ud; });
    f.play(ExitKind::interrupt);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
    CHECK(f.environment.hypercalls == 1);
    CHECK(f.context.regs.rip == 0x1003);
  }
  SECTION("UD2") {
    f.code({0x0F, 0x0B});
    f.play(ExitKind::exception, [](arch::Exit& exit) { exit.vector = arch::vector::ud; });
    f.play(ExitKind::interrupt);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
    CHECK(f.environment.hypercalls == 0);
    CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
    REQUIRE(f.context.injected.size() == 1);
    CHECK(f.context.injected[0].vector == arch::vector::ud);
  }
}

TEST_CASE("a hypercall from user mode is #UD") {
  Fixture f;
  f.code({0x0F, 0x01, 0xD9});
  f.context.level = 3;
  f.play(ExitKind::hypercall);
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.environment.hypercalls == 0);
  REQUIRE(f.context.injected.size() == 1);
  CHECK(f.context.injected[0].vector == arch::vector::ud);
}

TEST_CASE("what a guest cannot survive stops it with its cause") {
  const auto [kind, cause] = GENERATE(std::pair{ExitKind::triple_fault, vcpu::CrashCause::triple_fault},
                                      std::pair{ExitKind::invalid_guest_state, vcpu::CrashCause::invalid_state},
                                      std::pair{ExitKind::memory, vcpu::CrashCause::memory_hole},
                                      std::pair{ExitKind::task_switch, vcpu::CrashCause::task_switch},
                                      std::pair{ExitKind::unknown, vcpu::CrashCause::unhandled_exit});
  Fixture f;
  f.play(kind);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::stopped);
  CHECK(f.environment.crashes == std::vector<vcpu::CrashCause>{cause});
}

TEST_CASE("every exit is counted under its kind") {
  Fixture f;
  f.play(ExitKind::interrupt_window);
  f.play(ExitKind::interrupt_window);
  f.play(ExitKind::interrupt);
  CHECK(f.vcpu.run() == vcpu::SliceEnd::interrupted);
  CHECK(f.vcpu.counters().exits[static_cast<unsigned>(ExitKind::interrupt_window)] == 2);
  CHECK(f.vcpu.counters().total_exits() == 3);
}
