// SPDX-License-Identifier: Apache-2.0
#include "domain/main_loop.hpp"

#include <algorithm>
#include <utility>

#include "arch/x86/platform.hpp"
#include "domain/channel.hpp"
#include "domain/manager.hpp"
#include "domain/operator.hpp"
#include "lib/log.hpp"

namespace octavo::domain {
namespace {

constexpr u64 k_slice_ns = 10'000'000;
/// No guest's timer makes this CPU stir more often.
constexpr u64 k_least_quantum_ns = 20'000;
/// How often serial lines without interrupts are looked at: a receiver of 16 bytes at 115200 baud is full after 1.4 ms.
constexpr u64 k_poll_ns = 1'000'000;

constexpr u64 k_nothing_there = 0x1000'0010;  // for `panic fault`: the hypervisor maps nothing low
constexpr u64 k_tidy_ns = 10'000'000;
constexpr u64 k_tidy_frames = 512;

/// What was typed while its reader had no room.
class KeyBuffer {
 public:
  void put(u8 byte) {
    if (used_ < sizeof bytes_) bytes_[(first_ + used_++) % sizeof bytes_] = byte;
  }
  void clear() { used_ = 0; }
  [[nodiscard]] bool empty() const { return used_ == 0; }
  u8 take() {
    const u8 byte = bytes_[first_];
    first_ = (first_ + 1) % sizeof bytes_;
    --used_;
    return byte;
  }

 private:
  u8 bytes_[256] = {};
  usize first_ = 0, used_ = 0;
};

constinit Domain* focus = nullptr;   // null: the prompt
constinit Domain* loaded = nullptr;  // whose extended state is in the CPU
constinit bool focus_lost = false;   // the domain that had it is gone
constinit KeyBuffer keys;
constinit bool switch_typed = false;  // while commands had to wait
constinit Prompt prompt;
constinit std::optional<u64> armed;  // what the timer is set to, in uptime_ns()

void arm(std::optional<u64> deadline) {
  if (deadline == armed) return;
  armed = deadline;
  if (deadline) arch::set_timer(*deadline);
  else arch::cancel_timer();
}

void set_focus(Domain* domain) {
  focus = domain;
  keys.clear();  // what was typed for one guest is not for another
  console().put("\n");
  if (domain != nullptr) {
    log::info("console: {} (Ctrl-] moves on)", domain->name());
    console().flush_guest_line(domain->name(), domain->console_line());
  } else {
    log::info("console: Octavo's prompt (Ctrl-] moves on, `help` helps)");
    prompt.show();
  }
}

/// Guest, next guest, …, prompt, first guest.
void move_focus() {
  Domain* first = nullptr;
  Domain* next = nullptr;
  bool passed_focus = false;
  manager().for_each([&](Domain& domain) {
    if (first == nullptr) first = &domain;
    if (passed_focus && next == nullptr) next = &domain;
    if (&domain == focus) passed_focus = true;
  });
  set_focus(focus == nullptr ? first : next);
}

/// The guest that has the focus gets what it has room for.
void hand_on_keys() {
  while (!keys.empty() && focus != nullptr && focus->board().console_can_receive()) focus->board().console_receive(keys.take());
}

void read_keys() {
  if (std::exchange(switch_typed, false)) move_focus();
  while (const std::optional<u8> byte = arch::console_read()) {
    if (*byte == ConsoleMux::k_switch_key) move_focus();
    else if (focus == nullptr) prompt.key(*byte);
    else keys.put(*byte);
  }
  hand_on_keys();
}

void settle_ended() {
  manager().for_each([](Domain& domain) {
    if (domain.state() == State::ended) manager().settle(domain);
  });
}

/// The domain that had the focus is gone: the first of the others gets it, or the prompt.
void find_focus() {
  if (!focus_lost) return;
  focus_lost = false;
  move_focus();
}

/// Until the guard page; how deep it got.
[[gnu::noinline]] u64 fill_the_stack(u64 depth) {
  volatile u64 room[64] = {depth};
  return depth == ~u64{0} ? room[0] : fill_the_stack(depth + 1) + room[0];
}

[[noreturn]] void end_with_verdict() {
  channel().say_farewell();
  arch::exit_machine(manager().any_failed() ? arch::ExitCode::failed : arch::ExitCode::passed);
}

void end_if_asked() {
  if (requested_end() == MachineEnd::none) return;
  channel().say_farewell();
  if (requested_end() == MachineEnd::panic) arch::panic("the operator asked for it");
  if (requested_end() == MachineEnd::fault) log::error("read {}", *reinterpret_cast<const volatile u64*>(k_nothing_there));
  if (requested_end() == MachineEnd::overflow) log::error("{} deep", fill_the_stack(0));
  if (requested_end() == MachineEnd::reboot) arch::reboot();
  if (arch::exit_is_wanted()) end_with_verdict();
  arch::power_off();
}

/// With somebody waiting for the machine's verdict, it ends when no guest will ever run again.
void end_if_done() {
  bool alive = false;
  manager().for_each([&](Domain& domain) { alive = alive || domain.state() != State::preserved; });
  if (alive || !arch::exit_is_wanted()) return;
  log::info("all guests have ended{}", manager().any_failed() ? ", and not all of them well" : "");
  end_with_verdict();
}

/// A little work on each domain's memory that nobody waits for. False when there is none.
bool tidy() {
  bool worked = false;
  manager().for_each([&worked](Domain& domain) {
    if (domain.state() != State::building && domain.state() != State::ended) worked = domain.pod().tidy(k_tidy_frames) || worked;
  });
  return worked;
}

void switch_to(Domain& domain) {
  if (loaded == &domain) return;
  if (loaded != nullptr) loaded->vcpu().save_from_cpu();
  domain.vcpu().load_on_cpu();
  loaded = &domain;
}
constinit const Domain* last = nullptr;  // that had the CPU
constinit u64 next_tidy = 0;

/// What to do when no guest can run.
enum class Idle : u8 { sleep, go_on };

/// Devices their time, the CPU to the next guest for a while.
void turn(Idle idle) {
  const u64 now = arch::uptime_ns();
  if (armed && *armed <= now) armed.reset();  // it has fired
  std::optional<u64> deadline;
  usize runnable = 0;
  const auto sooner = [&deadline](u64 time) { deadline = deadline ? std::min(*deadline, time) : time; };
  manager().for_each([&](Domain& domain) {
    if (domain.state() != State::running) return;
    domain.advance_devices(now);
    if (const std::optional<u64> due = domain.next_deadline()) sooner(std::max(*due, now + k_least_quantum_ns));
    if (domain.runnable()) ++runnable;
  });
  if (arch::serial_lines_are_polled()) sooner(now + k_poll_ns);
  Domain* const next = manager().next_runnable(last);
  if (next == nullptr || now >= next_tidy) {  // when the CPU is free; and now and then when it never is
    next_tidy = now + k_tidy_ns;
    if (tidy() && next == nullptr) return;
  }
  if (next == nullptr) {
    if (idle == Idle::go_on) return;
    arm(deadline);
    arch::wait_for_interrupt();
    return;
  }
  if (runnable > 1 || idle == Idle::go_on) sooner(now + k_slice_ns);
  arm(deadline);
  switch_to(*next);
  last = next;
  if (next->vcpu().run() == vcpu::SliceEnd::interrupted) arch::interrupt_window();
}

/// Between the pieces of long work: guests run, and the one that has the focus hears what is typed. Commands wait.
void meanwhile() {
  while (focus != nullptr && !switch_typed) {
    const std::optional<u8> byte = arch::console_read();
    if (!byte) break;
    if (*byte == ConsoleMux::k_switch_key) switch_typed = true;
    else keys.put(*byte);
  }
  hand_on_keys();
  turn(Idle::go_on);
}
}  // namespace

bool has_focus(const Domain& domain) { return focus == &domain; }

void give_focus(Domain& domain) {
  focus = &domain;
  focus_lost = false;
}

void forget(const Domain& domain) {
  if (last == &domain) last = nullptr;
  if (loaded == &domain) loaded = nullptr;
  if (focus == &domain) {
    focus = nullptr;
    focus_lost = true;
    keys.clear();
  }
}

void timer_needed(u64 deadline) {
  const u64 now = arch::uptime_ns();
  if (armed && *armed <= now) armed.reset();  // it has fired
  deadline = std::max(deadline, now + k_least_quantum_ns);
  if (!armed || deadline < *armed) arm(deadline);
}

void let_guests_run_meanwhile() { manager().set_meanwhile(meanwhile); }

void main_loop() {
  if (focus == nullptr) prompt.show();
  while (true) {
    settle_ended();  // first, so that no command sees a domain that is over
    read_keys();
    channel().service();
    end_if_asked();
    settle_ended();
    end_if_done();
    find_focus();
    turn(Idle::sleep);
  }
}
}  // namespace octavo::domain
