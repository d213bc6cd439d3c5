// SPDX-License-Identifier: Apache-2.0
#include "vcpu/kvm_clock.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

using namespace octavo;
using vcpu::KvmClock;
using vcpu::PvClock;

namespace {
/// Guest memory that shows every state between two writes.
class WatchedMemory final : public walk::GuestBytes {
 public:
  Result<u64> read_entry(Gpa, unsigned) override { return fail(Error::unsupported); }
  Result<bool> compare_exchange_entry(Gpa, unsigned, u64, u64) override { return fail(Error::unsupported); }
  Result<> read(Gpa gpa, std::span<u8> out) override {
    if (!range_within(gpa.value(), out.size(), bytes.size())) return fail(Error::not_found);
    std::memcpy(out.data(), bytes.data() + gpa.value(), out.size());
    return {};
  }
  Result<> write(Gpa gpa, std::span<const u8> in) override {
    if (!range_within(gpa.value(), in.size(), bytes.size())) return fail(Error::not_found);
    std::memcpy(bytes.data() + gpa.value(), in.data(), in.size());
    states.push_back(bytes);
    return {};
  }
  template <class T>
  static T at(const std::vector<u8>& from, usize offset) {
    T value;
    std::memcpy(&value, from.data() + offset, sizeof value);
    return value;
  }
  std::vector<u8> bytes = std::vector<u8>(256);
  std::vector<std::vector<u8>> states{};
};
constexpr u64 k_frequencies[] = {1, 32'768, 1'000'000, 1'193'182, 100'000'000, 999'999'999, 1'000'000'000, 1'000'000'001, 1'999'999'999,
                                 2'000'000'000, 2'000'000'001, 2'400'000'000, 2'445'406'000, 3'792'874'123, 5'700'000'000, 100'000'000'000};
}  // namespace

TEST_CASE("a second's worth of ticks is a second, and never more") {
  for (const u64 hz : k_frequencies) {
    CAPTURE(hz);
    const auto rate = vcpu::tsc_rate(hz);
    REQUIRE(rate);
    const u64 hour = vcpu::scale_ticks(hz * 3600, rate->mul, rate->shift);
    CHECK(hour <= 3600'000'000'000);
    CHECK(3600'000'000'000 - hour <= 10'000);  // 3 parts in 10^9
  }
  CHECK(!vcpu::tsc_rate(0));
  KvmClock clock;
  CHECK(!clock.set_frequency(0));
}

TEST_CASE("when the guest sets its TSC, time goes on from where it was") {
  const u64 after = GENERATE(u64{0}, u64{1} << 60, u64{3'000'000});
  KvmClock clock;
  REQUIRE(clock.set_frequency(1'000'000'000));
  clock.update(2'000'000, 2'000'000);
  clock.move_tsc(5'000'000, after);
  const u64 there = vcpu::clock_time(clock.current(), after);
  CHECK(there >= 4'999'990);
  CHECK(there <= 5'000'000);
  const PvClock next = clock.update(after + 1000, 5'001'000);
  CHECK(next.tsc_timestamp == after + 1000);
  CHECK(vcpu::clock_time(next, after + 1000) >= there + 990);
  CHECK(vcpu::clock_time(next, after + 1000) <= 5'001'010);
}

TEST_CASE("time never goes backwards, whatever the two clocks do between updates") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const u64 hz : k_frequencies) {
    KvmClock clock;
    REQUIRE(clock.set_frequency(hz));
    u64 tsc = random() >> 8, ns = 0;
    PvClock before = clock.update(tsc, ns);
    for (unsigned i = 0; i < 2000; ++i) {
      const u64 ticks = random() % (hz / 10 + 10);
      tsc += ticks;
      // The other clock is up to 1 us off in either direction, and now and then stands still.
      const double exact = static_cast<double>(ticks) * 1e9 / static_cast<double>(hz);
      const double noisy = exact + static_cast<double>(random() % 2001) - 1000.0;
      ns += (random() & 7) == 0 || noisy < 0 ? 0 : static_cast<u64>(noisy);
      const PvClock after = clock.update(tsc, ns);
      CAPTURE(hz, i);
      REQUIRE(after.system_time >= ns);
      // A vCPU that still reads the old structure later sees nothing that the new one would contradict.
      for (const u64 later : {u64{0}, u64{1}, u64{2}, u64{7}, u64{1000}, hz / 3}) {
        REQUIRE(vcpu::clock_time(after, tsc + later) >= vcpu::clock_time(before, tsc + later));
      }
      before = after;
    }
  }
}

TEST_CASE("a TSC that is read a little earlier than the last one does not turn the clock back") {
  KvmClock clock;
  REQUIRE(clock.set_frequency(2'400'000'000));
  const PvClock first = clock.update(1'000'000, 5'000);
  const PvClock second = clock.update(999'000, 4'000);
  CHECK(second.tsc_timestamp >= first.tsc_timestamp);
  CHECK(vcpu::clock_time(second, 2'000'000) >= vcpu::clock_time(first, 2'000'000));
}

TEST_CASE("a change of frequency goes on from the time that was") {
  KvmClock clock;
  REQUIRE(clock.set_frequency(1'000'000'000));
  (void)clock.update(0, 0);
  REQUIRE(clock.set_frequency(4'000'000'000));
  const PvClock after = clock.update(1'000'000'000, 999'000'000);
  CHECK(after.system_time >= 999'999'999);
  CHECK(vcpu::clock_time(after, 5'000'000'000) - after.system_time <= 1'000'000'000);
  CHECK(vcpu::clock_time(after, 5'000'000'000) - after.system_time >= 999'999'990);
  CHECK(after.flags == 1);
}

TEST_CASE("a reader between two writes sees an odd version, the old or the new") {
  WatchedMemory memory;
  PvClock old_clock;
  old_clock.tsc_timestamp = 11;
  REQUIRE(vcpu::publish(memory, Gpa{64}, old_clock));
  CHECK(WatchedMemory::at<u32>(memory.bytes, 64) == 2);
  memory.states.clear();
  PvClock next = old_clock;
  next.tsc_timestamp = 22;
  next.system_time = 33;
  next.tsc_to_system_mul = 44;
  next.tsc_shift = -1;
  next.flags = 1;
  REQUIRE(vcpu::publish(memory, Gpa{64}, next));
  REQUIRE(memory.states.size() == 3);
  CHECK(WatchedMemory::at<u32>(memory.states[0], 64) == 3);
  CHECK(WatchedMemory::at<u64>(memory.states[0], 72) == 11);
  CHECK(WatchedMemory::at<u32>(memory.states[1], 64) == 3);
  const auto read = WatchedMemory::at<PvClock>(memory.states[2], 64);
  CHECK(read.version == 4);
  CHECK(read.tsc_timestamp == 22);
  CHECK(read.system_time == 33);
  CHECK(read.tsc_to_system_mul == 44);
  CHECK(read.tsc_shift == -1);
  CHECK(read.flags == 1);
}

TEST_CASE("the wall clock is the time at which guest time was 0") {
  const auto wall = vcpu::wall_clock(1'767'225'600'500'000'000, 1'500'000'000);
  CHECK(wall.seconds == 1'767'225'599);
  CHECK(wall.nanoseconds == 0);
  WatchedMemory memory;
  REQUIRE(vcpu::publish(memory, Gpa{4}, wall));
  CHECK(WatchedMemory::at<u32>(memory.bytes, 4) % 2 == 0);
  CHECK(WatchedMemory::at<u32>(memory.bytes, 8) == wall.seconds);
  CHECK(vcpu::publish(memory, Gpa{4096}, wall).error() == Error::not_found);
}

TEST_CASE("a clock is 4-aligned and inside one page") {
  CHECK(vcpu::parse_system_time(0x1000)->enabled == false);
  CHECK(vcpu::parse_system_time(0x1002)->enabled == false);  // disabled: the address does not matter
  const auto there = vcpu::parse_system_time(0x1041);
  REQUIRE(there);
  CHECK(there->enabled);
  CHECK(there->gpa == Gpa{0x1040});
  CHECK(vcpu::parse_system_time(0x1FE1));
  CHECK(vcpu::parse_system_time(0x1FE5).error() == Error::out_of_range);
  CHECK(vcpu::parse_system_time(0x1043).error() == Error::out_of_range);
  CHECK(vcpu::parse_wall_clock(0x1FF4));
  CHECK(vcpu::parse_wall_clock(0x1FF8).error() == Error::out_of_range);
  CHECK(vcpu::parse_wall_clock(0x1001).error() == Error::out_of_range);
}
