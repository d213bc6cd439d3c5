// SPDX-License-Identifier: Apache-2.0
// The command line's options. To add one, add a line to the table in options.cpp; a room's own option calls that room's setter.
#pragma once
#include <string_view>

namespace octavo::boot {
/// Applies every word of the command line; what is unknown or has a wrong value is reported and ignored.
void apply_options(std::string_view command_line);
/// channel=com2 (default) or none: does the operator speak on COM2?
[[nodiscard]] bool channel_is_wanted();
}  // namespace octavo::boot
