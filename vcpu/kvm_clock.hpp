// SPDX-License-Identifier: Apache-2.0
// The clock that stock guests know as kvmclock: time = system_time + scale(TSC - tsc_timestamp), from a structure that the
// hypervisor keeps in guest memory. Time read by it never goes backwards, across updates and changes of rate too.
// Layouts: Linux' Documentation/virt/kvm/x86/msr.rst. Pure but for publish(), which writes to guest memory.
#pragma once
#include <cstddef>
#include <optional>

#include "walk/memory.hpp"

namespace octavo::vcpu {

/// What the guest reads (struct pvclock_vcpu_time_info). An odd version says: being written.
struct PvClock {
  u32 version = 0;
  u32 pad = 0;
  u64 tsc_timestamp = 0;
  u64 system_time = 0;        ///< ns at tsc_timestamp
  u32 tsc_to_system_mul = 0;  ///< 32.32 ns per shifted tick
  i8 tsc_shift = 0;
  u8 flags = 0;
  u8 pad2[2]{};
};
static_assert(offsetof(PvClock, version) == 0 && offsetof(PvClock, pad) == 4 && offsetof(PvClock, tsc_timestamp) == 8);
static_assert(offsetof(PvClock, system_time) == 16 && offsetof(PvClock, tsc_to_system_mul) == 24);
static_assert(offsetof(PvClock, tsc_shift) == 28 && offsetof(PvClock, flags) == 29 && offsetof(PvClock, pad2) == 30);
static_assert(sizeof(PvClock) == 32);

/// All vCPUs' clocks agree; the guest need not compare them.
inline constexpr u8 k_pvclock_tsc_stable = 1;

/// Wall time at guest time 0 (struct pvclock_wall_clock).
struct PvWallClock {
  u32 version = 0;
  u32 seconds = 0;
  u32 nanoseconds = 0;
};
static_assert(offsetof(PvWallClock, seconds) == 4 && offsetof(PvWallClock, nanoseconds) == 8 && sizeof(PvWallClock) == 12);

/// The guest's own conversion of ticks to ns.
[[nodiscard]] u64 scale_ticks(u64 ticks, u32 mul, i8 shift);
/// The time that a guest computes from `clock` at `tsc`, not before tsc_timestamp.
[[nodiscard]] u64 clock_time(const PvClock& clock, u64 tsc);

struct TscRate {
  u32 mul = 0;
  i8 shift = 0;
};
/// The rate for a TSC of so many Hz, rounded so that scaled time never runs ahead of real time; nothing for 0 Hz.
[[nodiscard]] std::optional<TscRate> tsc_rate(u64 tsc_hz);

/// One guest's clock. All vCPUs of a domain share it, so their structures are the same.
class KvmClock {
 public:
  /// False (and nothing changes) for 0 Hz.
  [[nodiscard]] bool set_frequency(u64 tsc_hz);

  /// Anchors the clock at guest time now_ns and guest TSC value now_tsc (read together), and returns what to publish.
  /// Never earlier than what was published before would say at now_tsc.
  const PvClock& update(u64 now_tsc, u64 now_ns);
  /// The guest's TSC, which was `before` just now, is `after` from now on; the time goes on from where it is.
  void move_tsc(u64 before, u64 after);
  [[nodiscard]] const PvClock& current() const { return clock_; }

 private:
  TscRate rate_{};
  PvClock clock_{};
  bool anchored_ = false;
};

/// What a write to the system-time MSR asks for.
struct ClockLocation {
  bool enabled = false;
  Gpa gpa{};
};
/// `out_of_range` if enabled at an address that is not 4-aligned or crosses a page: #GP.
[[nodiscard]] Result<ClockLocation> parse_system_time(u64 msr_value);
/// The address of the wall clock; same errors.
[[nodiscard]] Result<Gpa> parse_wall_clock(u64 msr_value);

/// Writes the structure so that a reader on another CPU sees the old or the new, by the version protocol: odd, body, even. The
/// version goes on from what is in guest memory. Errors of the memory.
[[nodiscard]] Result<> publish(walk::GuestBytes& memory, Gpa gpa, const PvClock& clock);

/// wall_ns since 1970 and guest_ns are read together; the structure says the wall time of guest time 0.
[[nodiscard]] PvWallClock wall_clock(u64 wall_ns, u64 guest_ns);
[[nodiscard]] Result<> publish(walk::GuestBytes& memory, Gpa gpa, const PvWallClock& clock);
}  // namespace octavo::vcpu
