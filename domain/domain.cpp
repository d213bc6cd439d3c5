// SPDX-License-Identifier: Apache-2.0
#include "domain/domain.hpp"

#include <utility>

#include "arch/x86/platform.hpp"
#include "domain/main_loop.hpp"
#include "lib/log.hpp"

namespace octavo::domain {

const char* to_string(State state) {
  constexpr const char* names[] = {"building", "running", "paused", "out of memory", "preserved", "ended"};
  return names[static_cast<usize>(state)];
}

const char* to_string(Ending ending) {
  constexpr const char* names[] = {"none", "powered off", "asked for a reset", "debug exit", "crashed", "destroyed"};
  return names[static_cast<usize>(ending)];
}

namespace {
/// How long an interrupt may wait where the backend cannot open a window for it.
constexpr u64 k_interrupt_delay_ns = 50'000;
}  // namespace

Domain::Domain(const Parts& parts, const ImageConfig& config)
    : id_(parts.id),
      module_(parts.module),
      quick_restarts_(parts.quick_restarts),
      config_(config),
      start_ns_(arch::uptime_ns()),
      memory_(p2m_),
      board_(*this, *this, arch::wall_clock_seconds()),
      vcpu_(parts.context, *this, p2m_.users(), parts.policies, parts.extended_state, arch::tsc()) {
  name_size_ = config.name.copy(name_, OCTAVO_IMAGE_MAX_NAME);
  config_.name = name();
  config_.command_line = {};
  if (!clock_.set_frequency(arch::tsc_hz())) arch::panic("the TSC has no frequency");
}

bool Domain::passed() const {
  return ending_ == Ending::powered_off || ending_ == Ending::destroyed || ending_ == Ending::reset ||
         (ending_ == Ending::debug_exit && exit_code_ == 0);
}

void Domain::end(Ending ending) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  ending_ = ending;
  vcpu_.request_stop();
}

u64 Domain::now_ns() const { return arch::uptime_ns() - start_ns_; }

std::optional<u64> Domain::next_deadline() {
  const std::optional<u64> deadline = board_.next_deadline_ns();
  return deadline ? std::optional<u64>{*deadline + start_ns_} : std::nullopt;
}

void Domain::advance_devices(u64 uptime_ns) {
  for (usize which = 0; which < std::size(late_clocks_); ++which) {
    if (const std::optional<Gpa> gpa = std::exchange(late_clocks_[which], std::nullopt)) [[unlikely]] {
      clock_page(vcpu_, *gpa, static_cast<vcpu::ClockPage>(which));
    }
  }
  const std::optional<u64> deadline = next_deadline();
  if (deadline && *deadline <= uptime_ns) board_.advance();
}

u32 Domain::port_read(u16 port, unsigned size) {
  const u32 value = board_.read(port, size);
  if (board_.deadline_changed()) [[unlikely]] keep_deadline();  // a read can arm a device too: RTC register C lets the next interrupt come
  return value;
}

void Domain::port_write(u16 port, unsigned size, u32 value) {
  board_.write(port, size, value);
  if (board_.deadline_changed()) [[unlikely]] keep_deadline();
}

/// The guest has accessed a device, which may have changed when one wants to be called: the timer has to know.
void Domain::keep_deadline() {
  if (const std::optional<u64> deadline = next_deadline()) timer_needed(*deadline);
}

void Domain::tsc_written(u64 before, u64 after) { clock_.move_tsc(before, after); }

void Domain::interrupt_delayed() { timer_needed(arch::uptime_ns() + k_interrupt_delay_ns); }

void Domain::clock_page(vcpu::Vcpu& vcpu, Gpa gpa, vcpu::ClockPage which) {
  const auto publish = [&]() -> Result<> {
    const bool is_wall_clock = which == vcpu::ClockPage::wall_clock;
    OCTAVO_TRY(bring_in(gpa, is_wall_clock ? sizeof(vcpu::PvWallClock) : sizeof(vcpu::PvClock)));
    if (is_wall_clock) return vcpu::publish(memory_, gpa, vcpu::wall_clock(arch::wall_clock_seconds() * 1'000'000'000, now_ns()));
    return vcpu::publish(memory_, gpa, clock_.update(vcpu.guest_tsc(), now_ns()));
  };
  const Result<> done = publish();
  // Its page has still to be found: when this domain has its turn again.
  if (!done && (done.error() == Error::again || done.error() == Error::out_of_memory)) {
    late_clocks_[static_cast<usize>(which)] = gpa;
    return;
  }
  // Once: a guest can do it in a loop.
  if (!done && !std::exchange(clock_page_failed_, true)) log::warning("{}: clock page at guest-physical {:x}: {}", name(), gpa, done.error());
}

void Domain::print(Sink& sink) {
  vcpu_.print(sink);
  sink.put("last exits, oldest first:\n");
  vcpu_.trace().print(sink);
}

void Domain::crashed(vcpu::Vcpu&, vcpu::CrashCause cause) {
  console().flush_guest_line(name(), console_line_);
  log::error("{}: stopped: {}", name(), vcpu::to_string(cause));
  print(console());
  end(Ending::crashed);
}

void Domain::console_output(u8 byte) {
  if (config_.console == domain::Console::uart) console().guest_output(name(), console_line_, has_focus(*this), byte);
}

void Domain::debug_exit(u32 code) {
  exit_code_ = code;
  end(Ending::debug_exit);
}

void Domain::unknown_port(u16 port, unsigned size, bool is_write) {
  if (log::level() >= log::Level::debug) [[unlikely]] log_unknown_port(port, size, is_write);
}

void Domain::log_unknown_port(u16 port, unsigned size, bool is_write) {
  log::debug("{}: unknown port {:x}, {} of {} bytes", name(), port, is_write ? "write" : "read", size);
}
}  // namespace octavo::domain
