// SPDX-License-Identifier: Apache-2.0
// A processor made of a script: each run() plays the next exit and remembers what it was asked to inject.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "arch/x86/guest_context.hpp"

namespace octavo::test {

class FakeContext final : public arch::GuestContext {
 public:
  struct Step {
    arch::Exit exit;
    std::function<void(FakeContext&)> before = {};
  };
  std::deque<Step> script;
  std::vector<arch::Event> injected;  ///< by entry
  unsigned windows_requested = 0;
  unsigned dropped_translations = 0;
  bool refuse_window = false;
  bool shadow = false;
  arch::ControlState state;
  unsigned level = 0;
  std::map<arch::SegmentName, arch::Segment> segments;

  FakeContext() {
    state.cr0 = arch::cr0::pe | arch::cr0::et;
    segments[arch::SegmentName::cs] = {8, arch::segment_attributes::code32, ~0u, 0};
  }

  const arch::Exit& run() override {
    if (pending_) injected.push_back(*pending_);
    pending_.reset();
    if (script.empty()) throw std::runtime_error("the script is over");
    current_ = script.front();
    script.pop_front();
    if (current_.before) current_.before(*this);
    return current_.exit;
  }
  arch::ControlState control() const override { return state; }
  u64 cr3() const override { return state.cr3; }
  void set_cr0(u64 v) override { state.cr0 = v; }
  void set_cr2(u64 v) override { state.cr2 = v; }
  void set_cr3(u64 v) override { state.cr3 = v; }
  void set_cr4(u64 v) override { state.cr4 = v; }
  void set_efer(u64 v) override { state.efer = v; }
  void set_dr6(u64 v) override { state.dr6 = v; }
  void set_dr7(u64 v) override { state.dr7 = v; }
  u64 pat() const override { return 0x0007040600070406; }
  void set_pat(u64) override {}
  arch::Segment segment(arch::SegmentName name) const override {
    const auto found = segments.find(name);
    return found == segments.end() ? arch::Segment{} : found->second;
  }
  void set_segment(arch::SegmentName name, const arch::Segment& s) override { segments[name] = s; }
  arch::TableRegister gdt() const override { return {}; }
  arch::TableRegister idt() const override { return {}; }
  void set_gdt(const arch::TableRegister&) override {}
  void set_idt(const arch::TableRegister&) override {}
  unsigned cpl() const override { return level; }
  bool in_64bit_code() const override { return (state.efer & arch::efer::lma) != 0 && segment(arch::SegmentName::cs).is_long(); }
  bool interrupt_shadow() const override { return shadow; }
  void clear_interrupt_shadow() override { shadow = false; }
  void inject(const arch::Event& event) override { pending_ = event; }
  bool event_pending() const override { return pending_.has_value(); }
  bool can_take_interrupt() const override { return (regs.rflags & arch::rflags::if_) != 0 && !pending_ && !shadow; }
  bool request_interrupt_window() override {
    ++windows_requested;
    return !refuse_window;
  }
  void set_tsc_offset(u64) override {}
  void set_nested_root(Hpa, arch::TlbTag) override {}
  void drop_translations() override { ++dropped_translations; }
  void reset() override {}

 private:
  Step current_;
  std::optional<arch::Event> pending_;
};
}  // namespace octavo::test
