// SPDX-License-Identifier: Apache-2.0
// A machine on which domains are made and ended as in the hypervisor: the simulated machine, the one mm::machine() and the one
// manager(), fresh for each test; boot modules in its memory; a backend whose processors do nothing.
#pragma once
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "domain/manager.hpp"
#include "domain/operator.hpp"
#include "lib/log.hpp"
#include "tests/model/machine.hpp"
#include "tests/unit/image/sample_image.hpp"
#include "tests/unit/vcpu_loop/fake_context.hpp"

namespace octavo::test {

class FakeBackend final : public arch::Backend {
 public:
  const char* name() const override { return "fake"; }
  Result<void> enable_cpu() override { return {}; }
  u64 context_frames() const override { return 1; }
  arch::GuestContext& make_context(void*, Hpa) const override { return *made_.emplace_back(std::make_unique<FakeContext>()); }
  u32 tag_count() const override { return 8; }

 private:
  mutable std::vector<std::unique_ptr<FakeContext>> made_;
};

class TextSink final : public Sink {
 public:
  std::string text;
  void put(std::string_view piece) override { text += piece; }
};

/// The sample image, shrunk to 3 MiB of 4K and 2M pages, as the domain `name`.
inline Bytes small_image(const char* name, const char* on_crash = "destroy") {
  Bytes image = with_property(sample_image(), "/config", "name", text(name));
  image = with_property(image, "/config", "on-crash", text(on_crash));
  image = with_property(image, "/config", "memory", cells(0x30'0000));
  image = with_property(image, "/config", "maximum-memory", cells(0x30'0000));
  return with_property(image, "/memory-map/range@0", "size", cells(0x20'0000));
}

struct Rig {
  static constexpr u64 k_bytes = u64{64} << 20;
  static constexpr u64 k_modules_at = 0x10'0000, k_free_at = 0x40'0000;

  Rig() {
    mm::Machine& machine = mm::machine();
    std::destroy_at(&machine);
    new (&machine) mm::Machine;
    new (&domain::manager()) domain::Manager;  // its Folios were the old machine's, so nothing is destroyed
    log::set_sink(&log_text);
    domain::request_end(domain::MachineEnd::none);
    policies = std::make_unique<vcpu::Policies>();
    policies->cpuid.build([](u32, u32) { return vcpu::CpuidResult{}; }, {.physical_bits = 40});
    policies->msrs.build(policies->cpuid, {});
    all_ram[0] = {Hpa{0}, k_bytes};
    free_ram[0] = {Hpa{k_free_at}, k_bytes - k_free_at};
    REQUIRE(mm::initialize(all_ram, free_ram));
  }
  ~Rig() {
    domain::manager().for_each([](domain::Domain& each) { domain::manager().destroy(each); });
    log::set_sink(&nowhere());
  }

  void add_module(const char* file, const Bytes& image) {
    const u64 at = next_module;
    std::memcpy(simulated.at(Hpa{at}), image.data(), image.size());
    next_module += align_up(image.size(), k_page_size);
    modules.push_back({Hpa{at}, image.size(), file});
  }
  /// When all modules are there.
  void start() {
    boot = {all_ram, free_ram, modules, "", ""};
    domain::manager().initialize(boot, {.backend = &backend, .paging = p2m::Paging::npt, .leaves_1g = true, .physical_bits = 40}, *policies);
    at_start = accounts();
  }

  /// Everything that a domain could have taken and not given back.
  using Accounts = std::array<u64, mm::k_frame_kinds + 1>;
  [[nodiscard]] Accounts accounts() const {
    const mm::Machine::Statistics s = mm::machine().statistics();
    Accounts sums{};
    for (usize kind = 0; kind < mm::k_frame_kinds; ++kind) sums[kind] = s.frames[kind];
    // Clean frames become dirty ones; the sum of the two is what must come back.
    sums[static_cast<usize>(mm::FrameKind::free_clean)] = s.free_frames();
    sums[static_cast<usize>(mm::FrameKind::free_dirty)] = 0;
    sums[mm::k_frame_kinds] = simulated.mapped_windows;
    return sums;
  }

  static nlohmann::json ask(std::string_view line) {
    TextSink sink;
    domain::execute(line, sink, domain::AnswerStyle::json);
    INFO(sink.text);
    REQUIRE(sink.text.find('\n') == sink.text.size() - 1);  // one line
    return nlohmann::json::parse(sink.text);
  }
  static std::string ask_text(std::string_view line) {
    TextSink sink;
    domain::execute(line, sink, domain::AnswerStyle::text);
    return sink.text;
  }
  /// What the main loop does with domains that have ended.
  static void settle() {
    domain::manager().for_each([](domain::Domain& each) {
      if (each.state() == domain::State::ended) domain::manager().settle(each);
    });
  }

  model::SimulatedMachine simulated{k_bytes};
  FakeBackend backend;
  std::unique_ptr<vcpu::Policies> policies;
  arch::MemoryRange all_ram[1], free_ram[1];
  std::vector<arch::BootModule> modules;
  u64 next_module = k_modules_at;
  arch::BootInfo boot{};
  Accounts at_start{};
  TextSink log_text;

 private:
  static TextSink& nowhere() {
    static TextSink sink;
    return sink;
  }
};
}  // namespace octavo::test
