// SPDX-License-Identifier: Apache-2.0
// domain/: a domain = address space + vCPUs + devices, built from a domain image. A Domain owns everything of its guest; what it
// does with a guest's exits is decided here and in vcpu/. Domains are made and ended by the Manager. One CPU, that of the
// main loop, runs and changes them; nobody else touches them.
#pragma once
#include "devices/board.hpp"
#include "domain/console.hpp"
#include "domain/guest_memory.hpp"
#include "domain/image.hpp"
#include "pod/pod.hpp"
#include "vcpu/kvm_clock.hpp"
#include "vcpu/vcpu.hpp"

namespace octavo::domain {

enum class State : u8 {
  building,       ///< its memory is being got together
  running,
  paused,
  out_of_memory,  ///< its vCPU waits until the target is raised (D7)
  preserved,
  ended,
};
[[nodiscard]] const char* to_string(State state);

/// How a guest ended.
enum class Ending : u8 { none, powered_off, reset, debug_exit, crashed, destroyed };
[[nodiscard]] const char* to_string(Ending ending);

/// What became of accesses that the nested tables stopped (P16).
struct MemoryFaults {
  u64 populated = 0;    ///< on demand
  u64 searched = 0;     ///< the cache was empty: a piece of the look for zero memory, then the same fault again
  u64 out_of_memory = 0;
  u64 in_transit = 0;   ///< the memory was on the move
  u64 permitted = 0;    ///< a pending type or a stale translation: permitted after all
  u64 refused = 0;      ///< nothing there, or it forbids that
};

/// What Manager has taken from the machine for a new domain.
struct Parts {
  DomainId id{};
  usize module = 0;                        ///< the boot module that it is built from
  unsigned quick_restarts = 0;             ///< how often in a row it ended soon after its start, and was started again
  arch::GuestContext& context;
  const vcpu::Policies& policies;
  void* extended_state = nullptr;          ///< see vcpu::Vcpu
};

class Domain final : public vcpu::Environment, public devices::BoardEvents, public devices::Clock {
 public:
  Domain(const Parts& parts, const ImageConfig& config);

  [[nodiscard]] DomainId id() const { return id_; }
  [[nodiscard]] std::string_view name() const { return {name_, name_size_}; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Ending ending() const { return ending_; }
  /// Did the guest end as it should have: powered off, or said so at the debug-exit port?
  [[nodiscard]] bool passed() const;
  [[nodiscard]] usize module() const { return module_; }
  [[nodiscard]] unsigned quick_restarts() const { return quick_restarts_; }
  [[nodiscard]] const ImageConfig& config() const { return config_; }
  [[nodiscard]] vcpu::Vcpu& vcpu() { return vcpu_; }
  [[nodiscard]] const vcpu::Vcpu& vcpu() const { return vcpu_; }
  [[nodiscard]] p2m::P2m& p2m() { return p2m_; }
  [[nodiscard]] pod::Pod& pod() { return pod_; }
  [[nodiscard]] const MemoryFaults& memory_faults() const { return memory_faults_; }
  [[nodiscard]] devices::Board& board() { return board_; }
  [[nodiscard]] GuestLine& console_line() { return console_line_; }
  [[nodiscard]] u64 unknown_hypercalls() const { return unknown_hypercalls_; }

  [[nodiscard]] bool runnable() const {
    return state_ == State::running && (!vcpu_.halted() || board_.interrupt_pending());
  }
  void start() { state_ = State::running; }
  void pause() { state_ = State::paused; }
  void resume() { state_ = State::running; }
  /// The target has been raised, or so: a vCPU that waits for memory tries again.
  void memory_arrived() {
    if (state_ == State::out_of_memory) resume();
  }
  /// Brings in what the hypervisor itself is about to use of the guest's memory; on an error a part of it may be there. Errors as Pod::populate:
  /// bounded, and to be tried again on `again`.
  [[nodiscard]] Result<> bring_in(Gpa gpa, u64 size);
  /// Once, at its birth: what the guest believes to be memory.
  void set_memory_map(std::span<const ImageRange> ranges);
  [[nodiscard]] std::span<const p2m::FrameRange> memory_map() const { return {ranges_, range_count_}; }
  void preserve() { state_ = State::preserved; }
  /// The guest is over; Manager::settle() does the rest.
  void end(Ending ending);

  /// When a device wants to be called, in uptime_ns().
  [[nodiscard]] std::optional<u64> next_deadline();
  /// Lets the devices catch up if one of them is due.
  void advance_devices(u64 uptime_ns);
  /// The guest's registers and its last exits.
  void print(Sink& sink);

  // vcpu::Environment
  u32 port_read(u16 port, unsigned size) override;
  void port_write(u16 port, unsigned size, u32 value) override;
  bool interrupt_pending() override { return board_.interrupt_pending(); }
  u8 acknowledge_interrupt() override { return board_.acknowledge_interrupt(); }
  vcpu::MemoryVerdict memory_fault(const arch::MemoryFault& fault) override;
  void hypercall(vcpu::Vcpu& vcpu) override;
  void clock_page(vcpu::Vcpu& vcpu, Gpa gpa, vcpu::ClockPage which) override;
  void tsc_written(u64 before, u64 after) override;
  void interrupt_delayed() override;
  void crashed(vcpu::Vcpu& vcpu, vcpu::CrashCause cause) override;
  walk::GuestBytes& guest_memory() override { return memory_; }
  std::optional<u32> peek_executed(u64 cr3, u64 rip) override { return memory_.peek_executed(cr3, rip); }

  // devices::BoardEvents
  void console_output(u8 byte) override;
  void power_off() override { end(Ending::powered_off); }
  void reset() override { end(Ending::reset); }
  void debug_exit(u32 code) override;
  void unknown_port(u16 port, unsigned size, bool is_write) override;

  // devices::Clock
  u64 now_ns() const override;

 private:
  /// How much of a move it carries out when the guest needs what is on the move, in frames.
  static constexpr u64 k_frames_moved = 512;
  // Apart, so that the hot paths save no registers for them.
  [[gnu::noinline]] void keep_deadline();
  [[gnu::noinline]] void log_unknown_port(u16 port, unsigned size, bool is_write);
  [[nodiscard]] vcpu::MemoryVerdict populate(Gfn gfn);
  [[nodiscard]] bool is_ram_range(Gfn gfn, u64 count) const;
  [[nodiscard]] i64 resize(arch::GuestRegisters& regs, bool more);
  [[nodiscard]] i64 memory_info(arch::GuestRegisters& regs);
  [[nodiscard]] i64 memory_audit(arch::GuestRegisters& regs);

  DomainId id_;
  usize module_;
  unsigned quick_restarts_;
  ImageConfig config_;  ///< without the texts, which lie in the image
  char name_[OCTAVO_IMAGE_MAX_NAME + 1] = {};
  usize name_size_ = 0;
  State state_ = State::building;
  Ending ending_ = Ending::none;
  u32 exit_code_ = 0;
  u64 unknown_hypercalls_ = 0;
  bool clock_page_failed_ = false;
  std::optional<Gpa> late_clocks_[2];  ///< by ClockPage: structures that the guest waits for, whose page has still to be brought in
  u64 start_ns_;  ///< uptime_ns() at birth
  GuestLine console_line_;
  p2m::P2m p2m_;
  pod::Pod pod_{p2m_};
  MemoryFaults memory_faults_;
  p2m::FrameRange ranges_[OCTAVO_IMAGE_MAX_RANGES];  ///< the memory map, ascending
  usize range_count_ = 0;
  DomainMemory memory_;
  vcpu::KvmClock clock_;
  devices::Board board_;
  vcpu::Vcpu vcpu_;
};
}  // namespace octavo::domain
