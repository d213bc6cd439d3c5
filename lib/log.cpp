// SPDX-License-Identifier: Apache-2.0
#include "lib/log.hpp"

#include "arch/x86/platform.hpp"
#include "lib/lock.hpp"

namespace octavo::log {
namespace {
class NoSink final : public Sink {
 public:
  void put(std::string_view) override {}
};
constinit NoSink no_sink;
constinit Sink* current_sink = &no_sink;
constinit SpinLock<LockRank::console> line_lock;
}  // namespace

void set_sink(Sink* sink) { current_sink = sink; }
void set_level(Level level) { detail::wanted.store(level, std::memory_order_relaxed); }

Sink& detail::begin(Level level) {
  line_lock.lock();
  const u64 microseconds = arch::uptime_ns() / 1000;
  format(*current_sink, "[{:5}.{:06}] ", microseconds / 1'000'000, microseconds % 1'000'000);
  if (level == Level::error) current_sink->put("error: ");
  if (level == Level::warning) current_sink->put("warning: ");
  return *current_sink;
}

void detail::end() {
  current_sink->put("\n");
  line_lock.unlock();
}
}  // namespace octavo::log
