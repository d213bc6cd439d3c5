// SPDX-License-Identifier: Apache-2.0
// Which Octavo this is.
#pragma once
#include <span>
#include <string_view>

#include "lib/int.hpp"

namespace octavo::arch {
[[nodiscard]] std::string_view version();      ///< "0.1.0"
[[nodiscard]] std::string_view git_id();       ///< "4c571d0", "4c571d0-dirty", or "no git"
[[nodiscard]] std::span<const u8> build_id();  ///< the hash that the linker made of the image
}  // namespace octavo::arch
