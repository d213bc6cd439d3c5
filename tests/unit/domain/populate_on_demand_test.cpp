// SPDX-License-Identifier: Apache-2.0
// A domain whose memory is below its maximum: its faults, its wait for memory, the operator's commands, the guest's hypercalls with
// whatever is in its registers.
#include <random>

#include "domain/commands.hpp"
#include "include/octavo/hypercall.h"
#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using arch::Gpr;
using domain::Domain;
using domain::manager;
using domain::State;
using test::Rig;
using Json = nlohmann::json;

namespace {
constexpr u64 k_target = 0x180, k_maximum = 0x300;  // frames
/// The image's second range, of 1 MiB.
constexpr u64 k_high = 0x10'0000;

struct OneDomain : Rig {
  OneDomain() : OneDomain(test::with_property(test::small_image("web"), "/config", "memory", test::cells(k_target * k_page_size))) {}
  explicit OneDomain(const test::Bytes& image) {
    add_module("web.dom", image);
    start();
    const auto made = manager().create(0);
    REQUIRE(made);
    domain = *made;
  }

  vcpu::MemoryVerdict touch(u64 gfn) {
    arch::MemoryFault fault;
    fault.gpa = to_gpa(Gfn{gfn});
    fault.write = true;
    return domain->memory_fault(fault);
  }
  void fill(u64 gfn, u8 value) {
    const u8 bytes[16] = {value, value};
    REQUIRE(domain->guest_memory().write(to_gpa(Gfn{gfn}), bytes));
  }
  i64 call(u64 number, u64 rdi, u64 rsi = 0, u64 r8 = 0) {
    arch::GuestRegisters& regs = domain->vcpu().context().regs;
    regs[Gpr::rax] = OCTAVO_HYPERCALL(number);
    regs[Gpr::rdi] = rdi;
    regs[Gpr::rsi] = rsi;
    regs[Gpr::r8] = r8;
    domain->hypercall(domain->vcpu());
    return static_cast<i64>(regs[Gpr::rax]);
  }
  /// As a guest does it: made again as long as it says so.
  i64 whole_call(u64 number, u64 gfn, u64 count) {
    i64 result = call(number, gfn, count);
    while (result == -OCTAVO_EAGAIN) result = call(number, gfn, count, r8());
    return result;
  }
  [[nodiscard]] u64 rdi() { return domain->vcpu().context().regs[Gpr::rdi]; }
  [[nodiscard]] u64 r8() { return domain->vcpu().context().regs[Gpr::r8]; }
  u64 info(u64 item) {
    REQUIRE(call(OCTAVO_HC_MEMORY_INFO, item) == 0);
    return rdi();
  }

  Domain* domain = nullptr;
};
}  // namespace

TEST_CASE("D2: a domain below its maximum claims its memory at birth, and has its segments and nothing else populated") {
  OneDomain one;
  const pod::Accounts accounts = one.domain->pod().accounts();
  CHECK(accounts.target == k_target);
  CHECK(accounts.maximum == k_maximum);
  CHECK(accounts.populated + accounts.cached() == k_target);
  CHECK(accounts.populated + accounts.entries == k_maximum);
  CHECK(accounts.populated < k_target);
  u8 byte = 0;
  REQUIRE(one.domain->guest_memory().read(Gpa{0x10'0000}, {&byte, 1}));
  CHECK(byte == 0x90);
  CHECK(one.domain->p2m().audit().clean());
  manager().destroy(*one.domain);
  CHECK(one.accounts() == one.at_start);
}

TEST_CASE("F7: a birth is refused when what it claims is more than is free, not when its maximum is") {
  Rig rig;
  test::Bytes image = test::with_property(test::small_image("web"), "/config", "maximum-memory", test::cells(u64{64} << 30));
  image = test::with_property(image, "/memory-map/range@0", "size", test::cells((u64{64} << 30) - 0x10'0000));
  image = test::with_property(image, "/memory-map/range@1", "base", test::cells(u64{1} << 40));
  rig.add_module("web.dom", image);
  rig.start();
  CHECK(manager().create(0).error() == Error::out_of_memory);  // tables for 64 GiB in 4K leaves: 128 MiB
  CHECK(manager().why_not().find("it needs 3 MiB of memory and 13") == 0);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("D7: a vCPU without memory waits, a higher target lets it go on where it was") {
  OneDomain one;
  u64 used = 0;
  for (u64 gfn = 0; gfn < 0x200; ++gfn) {
    const bool was_entry = one.domain->p2m().lookup(Gfn{gfn}).type == p2m::Type::pod;
    vcpu::MemoryVerdict verdict = vcpu::MemoryVerdict::retry;
    for (int i = 0; was_entry && i < 3 && one.domain->p2m().lookup(Gfn{gfn}).type == p2m::Type::pod; ++i) verdict = one.touch(gfn);
    if (verdict == vcpu::MemoryVerdict::wait) break;
    one.fill(gfn, 1);
    used = gfn;
  }
  CHECK(one.domain->state() == State::out_of_memory);
  CHECK_FALSE(one.domain->runnable());
  CHECK(one.domain->memory_faults().out_of_memory == 1);
  CHECK(one.log_text.text.find("web: out of memory at guest-physical") != std::string::npos);
  CHECK(Rig::ask("list")["domains"][0]["state"] == "out of memory");
  const Json events = Rig::ask("events")["events"];
  CHECK(events[events.size() - 1]["event"] == "out of memory");
  CHECK(events[events.size() - 1]["domain"] == "web");
  const u64 last = events[events.size() - 1]["number"];
  CHECK(Rig::ask("events " + std::to_string(last))["events"].empty());
  CHECK(Rig::ask("events " + std::to_string(last - 1))["events"].size() == 1);
  CHECK(Rig::ask("events x")["ok"] == false);
  CHECK(Rig::ask("resume web")["error"] == "it is out of memory; `target` gives it more");
  CHECK(Rig::ask("target web 4M")["error"] == "its maximum is 3M");
  CHECK(one.domain->state() == State::out_of_memory);
  const Json reply = Rig::ask("target web 2M")["targets"][0];
  CHECK(reply == Json{{"domain", "web"}, {"target_bytes", 0x20'0000}, {"added_bytes", 0x8'0000}, {"freed_bytes", 0}, {"pending_bytes", 0}});
  CHECK(one.domain->runnable());
  CHECK(one.touch(used + 1) == vcpu::MemoryVerdict::retry);
  one.fill(used + 1, 1);
  CHECK(one.domain->p2m().audit().clean());
}

TEST_CASE("D7: a domain that has ended is not brought back by a fault of its last instruction") {
  OneDomain one;
  one.domain->end(domain::Ending::debug_exit);
  CHECK(one.touch(k_high) == vcpu::MemoryVerdict::retry);
  CHECK(one.domain->state() == State::ended);
  CHECK(one.domain->p2m().lookup(Gfn{k_high}).type == p2m::Type::pod);
}

TEST_CASE("P7, D6: memory on the move: a hypercall that gives it up and a page that the hypervisor needs go on when it is there") {
  test::Bytes image = test::with_property(test::small_image("web"), "/config", "memory", test::cells(8 << 20));
  image = test::with_property(image, "/config", "maximum-memory", test::cells(16 << 20));
  OneDomain one(test::with_property(image, "/memory-map/range@0", "size", test::cells(15 << 20)));
  constexpr u64 k_there = 0x800, k_2m = 512;
  pod::Pod& pod = one.domain->pod();
  for (const u64 gfn : {k_there, k_there + 1}) REQUIRE(one.domain->bring_in(to_gpa(Gfn{gfn}), k_page_size));
  REQUIRE(pod.decrease(Gfn{k_there}, 2) == 2);
  REQUIRE(pod.increase(Gfn{k_there}, 2) == 2);
  for (u64 i = k_2m; i-- > 0;) {  // the other way round, so that only a copy can join them
    REQUIRE(one.domain->bring_in(to_gpa(Gfn{k_there + i}), k_page_size));
    one.fill(k_there + i, 1);
  }
  const auto begin = [&] {
    REQUIRE(pod.promote(Gfn{k_there}, k_order_2m, 1).error() == Error::again);
    REQUIRE(one.domain->p2m().lookup(Gfn{k_there}).type == p2m::Type::transit);
  };
  begin();
  SECTION("the hypercall") {
    CHECK(one.call(OCTAVO_HC_MEMORY_DECREASE, k_there, 1) == -OCTAVO_EAGAIN);
    CHECK(one.r8() == 0);
    CHECK(one.call(OCTAVO_HC_MEMORY_DECREASE, k_there, 1) == 0);
    CHECK(one.domain->p2m().lookup(Gfn{k_there}).type == p2m::Type::invalid);
  }
  SECTION("the page") {
    CHECK(one.domain->bring_in(to_gpa(Gfn{k_there}), 8).error() == Error::again);
    CHECK(one.domain->bring_in(to_gpa(Gfn{k_there}), 8));
    CHECK(one.domain->p2m().lookup(Gfn{k_there}).order == k_order_2m);
  }
  CHECK(one.domain->p2m().audit().clean());
}

TEST_CASE("D3: zero memory comes back before a vCPU waits") {
  OneDomain one;
  for (u64 gfn = 0; gfn < 0x200; ++gfn) {
    for (int i = 0; i < 10 && one.domain->p2m().lookup(Gfn{gfn}).type == p2m::Type::pod; ++i) REQUIRE(one.touch(gfn) == vcpu::MemoryVerdict::retry);
    if (gfn % 2 == 0) one.fill(gfn, 1);  // half of it is touched and never written
  }
  CHECK(one.domain->state() == State::running);
  CHECK(one.domain->pod().statistics().reclaimed_unwritten > 0);
  CHECK(one.domain->pod().accounts().hold());
}

TEST_CASE("D5: what the hypervisor itself wrote is not taken for unused") {
  OneDomain one;
  REQUIRE(one.domain->bring_in(to_gpa(Gfn{0x150}), 1));
  one.fill(0x150, 7);
  for (const Order order : {k_order_2m, k_order_4k}) static_cast<void>(one.domain->pod().sweep(order, 100'000));
  u8 byte = 0;
  REQUIRE(one.domain->guest_memory().read(to_gpa(Gfn{0x150}), {&byte, 1}));
  CHECK(byte == 7);
  REQUIRE(one.domain->guest_memory().read(Gpa{0x10'0000}, {&byte, 1}));
  CHECK(byte == 0x90);  // a segment
}

TEST_CASE("operator: pod and target") {
  OneDomain one;
  const Json row = Rig::ask("pod web")["pod"][0];
  CHECK(row["target_bytes"] == k_target * k_page_size);
  CHECK(row["maximum_bytes"] == k_maximum * k_page_size);
  CHECK(row["pending_bytes"] == 0);
  for (const char* bad : {"x", "0", "1", "4097", "1X", "K", "99999999999999999999G", "-4K"}) {
    CHECK(Rig::ask(std::string{"target web "} + bad)["error"] == "a size is a multiple of 4K, like 512M or 2G");
  }
  CHECK(Rig::ask("target nobody 1M")["error"] == "no such domain; `list` shows their names and ids");
  const u64 populated = one.domain->pod().accounts().populated;
  const Json reply = Rig::ask("target web 4K")["targets"][0];
  CHECK(reply["freed_bytes"] == (k_target - populated) * k_page_size);
  CHECK(reply["pending_bytes"] == (populated - 1) * k_page_size);
  CHECK(Rig::ask("pod")["pod"][0]["pending_bytes"] == (populated - 1) * k_page_size);
  {  // a machine that has nothing left
    std::vector<mm::Folio> hoard;
    while (auto folio = mm::machine().allocate(k_order_4k, DomainId::hypervisor, mm::FrameKind::hypervisor)) hoard.push_back(std::move(*folio));
    CHECK(Rig::ask("target web 3M")["error"] == "the machine has not so much: 0M are free");
    CHECK(one.domain->pod().accounts().target == 1);
  }
  CHECK(Rig::ask("target web 3M")["ok"] == true);
  CHECK(one.domain->pod().accounts().target == k_maximum);
}

TEST_CASE("operator: sizes") {
  CHECK(domain::parse_size("4096") == 4096);
  CHECK(domain::parse_size("0x1000") == 4096);
  CHECK(domain::parse_size("4K") == 4096);
  CHECK(domain::parse_size("3M") == 3 << 20);
  CHECK(domain::parse_size("2G") == u64{2} << 30);
  CHECK(domain::parse_size("1T") == u64{1} << 40);
  CHECK(domain::parse_size("16777215T") == u64{0} - (u64{1} << 40));
  for (const char* bad : {"", "K", "16777216T", "1KB", "1 K", "1.5G", "k"}) CHECK_FALSE(domain::parse_size(bad));
}

TEST_CASE("hypercalls: memory goes and comes back, and the accounts say so") {
  OneDomain one;
  CHECK(one.info(OCTAVO_MEMORY_TARGET) == k_target);
  CHECK(one.info(OCTAVO_MEMORY_MAXIMUM) == k_maximum);
  const u64 populated = one.info(OCTAVO_MEMORY_POPULATED);
  CHECK(populated == one.info(OCTAVO_MEMORY_IN_4K) + one.info(OCTAVO_MEMORY_IN_2M) + one.info(OCTAVO_MEMORY_IN_1G));
  CHECK(one.info(OCTAVO_MEMORY_ENTRIES) == k_maximum - populated);
  CHECK(one.info(OCTAVO_MEMORY_CACHED) == k_target - populated);
  CHECK(one.info(OCTAVO_MEMORY_PENDING) == 0);
  CHECK(one.call(OCTAVO_HC_MEMORY_INFO, 9) == -OCTAVO_EINVALID);
  CHECK(one.call(OCTAVO_HC_MEMORY_INFO, ~u64{0}) == -OCTAVO_EINVALID);

  CHECK(one.whole_call(OCTAVO_HC_MEMORY_DECREASE, k_high, 0x100) == 0);
  CHECK(one.rdi() == 0x100);
  CHECK(one.info(OCTAVO_MEMORY_ENTRIES) + one.info(OCTAVO_MEMORY_POPULATED) == k_maximum - 0x100);
  CHECK(one.call(OCTAVO_HC_MEMORY_DECREASE, k_high, 1) == -OCTAVO_ENOENT);
  CHECK(one.rdi() == 0);
  CHECK(one.call(OCTAVO_HC_MEMORY_INCREASE, k_high + 1, 3) == 0);
  CHECK(one.call(OCTAVO_HC_MEMORY_INCREASE, 0x100, 1) == -OCTAVO_EEXIST);  // the kernel's segment
  CHECK(one.touch(k_high) == vcpu::MemoryVerdict::stop);
  CHECK(one.touch(k_high + 1) == vcpu::MemoryVerdict::retry);
  CHECK(one.domain->p2m().audit().clean());
}

TEST_CASE("hypercalls: a long range comes back with a cursor, made again it ends with the same as in one go") {
  OneDomain one;
  // Every second frame populated, so that each piece is one frame.
  for (u64 gfn = k_high; gfn < k_high + 0x100; gfn += 2) REQUIRE(one.domain->bring_in(to_gpa(Gfn{gfn}), 1));
  u64 calls = 0, done = 0;
  while (one.call(OCTAVO_HC_MEMORY_DECREASE, k_high, 0x100, done) == -OCTAVO_EAGAIN) {
    CHECK(one.rdi() == k_high);
    CHECK(one.r8() > done);
    done = one.r8();
    ++calls;
  }
  CHECK(calls > 0);
  CHECK(one.rdi() == 0x100);
  for (u64 gfn = k_high; gfn < k_high + 0x100; ++gfn) CHECK(one.domain->p2m().lookup(Gfn{gfn}).type == p2m::Type::invalid);
}

TEST_CASE("hypercalls: an audit in pieces comes to an end and finds nothing, a made-up cursor is refused") {
  OneDomain one;
  u64 calls = 0;
  i64 result = one.call(OCTAVO_HC_MEMORY_AUDIT, 77);
  for (; result == -OCTAVO_EAGAIN; ++calls) {
    CHECK(one.rdi() == 0);
    result = one.call(OCTAVO_HC_MEMORY_AUDIT, 77, 0, one.r8());
  }
  CHECK(result == 0);
  CHECK(one.rdi() == 0);
  CHECK(calls > 0);
  CHECK(one.call(OCTAVO_HC_MEMORY_AUDIT, 0, 0, 1) == -OCTAVO_EINVALID);
  CHECK(one.call(OCTAVO_HC_MEMORY_AUDIT, 0, 0, u64{1} << 36) == -OCTAVO_EINVALID);
  CHECK(one.call(OCTAVO_HC_MEMORY_AUDIT, 0, 0, ~u64{0}) == -OCTAVO_EINVALID);
}

TEST_CASE("hypercalls: anything in any register is an answer, and accounts and tables stay sound") {
  OneDomain one;
  std::mt19937_64 random(20261127);
  const u64 interesting[] = {0, 1, 2, 0x1FF, 0x200, 0x201, k_high - 1, k_high, k_high + 0xFF, k_high + 0x100, u64{1} << 32, u64{1} << 36,
                             u64{1} << 40, u64{1} << 52, u64{1} << 63, ~u64{0}, ~u64{0} - 1, ~u64{0} - 0x1FF};
  const auto any = [&]() -> u64 {
    const u64 value = interesting[random() % std::size(interesting)];
    return random() % 4 == 0 ? value + random() % 0x300 : random() % 8 == 0 ? random() : value;
  };
  for (int i = 0; i < 20'000; ++i) {
    const u64 number = random() % 8 == 0 ? random() : random() % 7, rdi = any(), rsi = any(), r8 = random() % 2 == 0 ? 0 : any();
    if (number == OCTAVO_HC_CONSOLE_WRITE) continue;
    const i64 result = one.call(number, rdi, rsi, r8);
    INFO(number << " " << rdi << " " << rsi << " " << r8);
    CHECK(result <= 0);
    CHECK(result >= -OCTAVO_EAGAIN);
    if (i % 64 == 0) {
      static_cast<void>(one.touch(random() % 0x200));
      if (one.domain->state() == State::out_of_memory) one.domain->memory_arrived();
    }
    if (i % 100 == 0) {
      REQUIRE(one.domain->p2m().audit().clean());
      const pod::Accounts accounts = one.domain->pod().accounts();
      REQUIRE(accounts.hold());
      REQUIRE(accounts.populated + accounts.entries <= accounts.maximum);
    }
  }
  manager().destroy(*one.domain);
  CHECK(one.accounts() == one.at_start);
}
