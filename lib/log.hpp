// SPDX-License-Identifier: Apache-2.0
// The log: one line a call, to wherever the program sends it (the hypervisor: console and log ring; the host: the test's
// own sink). Levels follow syslog's names. Safe from any context that may hold locks of a rank below `console`.
#pragma once
#include <atomic>

#include "lib/format.hpp"

namespace octavo::log {

enum class Level : u8 { error, warning, info, debug };

/// Where lines go; never null. The hypervisor sets it once at boot, before other CPUs are up.
void set_sink(Sink* sink);
void set_level(Level level);

namespace detail {
inline constinit std::atomic<Level> wanted{Level::info};
/// Begins a line ("[   1.234567] warning: ") and returns its sink.
Sink& begin(Level level);
void end();
}  // namespace detail

/// Lines beyond it go nowhere.
[[nodiscard]] inline Level level() { return detail::wanted.load(std::memory_order_relaxed); }

template <class... Arguments>
void write(Level level, FormatString<Arguments...> pattern, const Arguments&... arguments) {
  if (level > log::level()) return;
  Sink& sink = detail::begin(level);
  format(sink, pattern, arguments...);
  detail::end();
}
template <class... Arguments>
void error(FormatString<Arguments...> pattern, const Arguments&... arguments) { write(Level::error, pattern, arguments...); }
template <class... Arguments>
void warning(FormatString<Arguments...> pattern, const Arguments&... arguments) { write(Level::warning, pattern, arguments...); }
template <class... Arguments>
void info(FormatString<Arguments...> pattern, const Arguments&... arguments) { write(Level::info, pattern, arguments...); }
template <class... Arguments>
void debug(FormatString<Arguments...> pattern, const Arguments&... arguments) { write(Level::debug, pattern, arguments...); }
}  // namespace octavo::log
