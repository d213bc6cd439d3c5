// SPDX-License-Identifier: Apache-2.0
// Mangled C++ names made readable: the qualified name of a function, without its arguments (Itanium C++ ABI, 5.1).
#pragma once
#include <string_view>

#include "lib/format.hpp"

namespace octavo::arch {
/// Puts "octavo::arch::panic" for "_ZN6octavo4arch5panicEPKc"; what it does not understand it puts as it is.
void demangle(Sink& sink, std::string_view mangled);
}  // namespace octavo::arch
