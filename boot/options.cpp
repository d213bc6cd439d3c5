// SPDX-License-Identifier: Apache-2.0
#include "boot/options.hpp"

#include "arch/x86/console.hpp"
#include "arch/x86/local_apic.hpp"
#include "arch/x86/parse/command_line.hpp"
#include "arch/x86/power.hpp"
#include "lib/log.hpp"

namespace octavo::boot {
namespace {
struct Option {
  std::string_view name, values;          ///< values: for the warning
  bool (*apply)(std::string_view value);  ///< false: not a value that it knows
};

constinit bool channel_wanted = true;

bool apply_channel(std::string_view value) {
  if (value != "com2" && value != "none") return false;
  channel_wanted = value == "com2";
  return true;
}

bool apply_console(std::string_view value) {
  if (value != "serial" && value != "screen" && value != "both") return false;
  arch::console().use_serial(value != "screen");
  arch::console().use_screen(value != "serial");
  return true;
}

bool apply_exit(std::string_view value) {
  if (value == "qemu") arch::set_exit_to_qemu(true);
  return value == "qemu";
}

bool apply_loglevel(std::string_view value) {
  using log::Level;
  constexpr struct { std::string_view name; Level level; } levels[] = {
      {"error", Level::error}, {"warning", Level::warning}, {"info", Level::info}, {"debug", Level::debug}};
  for (const auto& known : levels) {
    if (value != known.name) continue;
    log::set_level(known.level);
    return true;
  }
  return false;
}

/// Firmware switches by itself only where there are ids beyond 254.
bool apply_x2apic(std::string_view value) {
  if (value != "on" && value != "firmware") return false;
  if (value == "on") arch::local_apic::want_x2apic();
  return true;
}

constexpr Option k_options[] = {
    {"channel", "com2 or none", apply_channel},
    {"console", "serial, screen or both", apply_console},
    {"exit", "qemu", apply_exit},
    {"loglevel", "error, warning, info or debug", apply_loglevel},
    {"x2apic", "firmware or on", apply_x2apic},
};

void apply(const arch::CommandLineWord& word) {
  for (const Option& option : k_options) {
    if (word.name != option.name) continue;
    if (!option.apply(word.value)) log::warning("command line: {}= takes {}, not '{}'", option.name, option.values, word.value);
    return;
  }
  log::warning("command line: unknown option '{}'", word.name);
}
}  // namespace

bool channel_is_wanted() { return channel_wanted; }

void apply_options(std::string_view command_line) {
  while (const auto word = arch::next_word(command_line)) apply(*word);
}
}  // namespace octavo::boot
