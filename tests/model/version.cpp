// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/version.hpp"

namespace octavo::arch {
std::string_view version() { return "model"; }
std::string_view git_id() { return "model"; }
std::span<const u8> build_id() { return {}; }
}  // namespace octavo::arch
