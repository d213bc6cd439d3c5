// SPDX-License-Identifier: Apache-2.0
// Errors are values. Result<T> is std::expected<T, Error>; OCTAVO_TRY hands an error up. Never `.value()`: it pulls in abort.
#pragma once
#include <expected>

#include "lib/int.hpp"

namespace octavo {

/// What went wrong, in the words of the public interface. The negated value is the hypercall's result code
/// (include/octavo/hypercall.h says the same numbers in C).
enum class Error : u32 {
  invalid_argument = 1,   ///< a value that is never legal
  misaligned = 2,         ///< not aligned to its order
  out_of_range = 3,       ///< beyond the end of what it indexes
  out_of_memory = 4,      ///< no frame of this size (and no smaller one that would serve)
  no_table_memory = 5,    ///< the domain's own table pool is used up
  not_owner = 6,          ///< the frame or range is somebody else's
  busy = 7,               ///< references are in the way; try again later
  exists = 8,             ///< already there
  not_found = 9,          ///< not there
  not_permitted = 10,     ///< the caller may not
  unsupported = 11,       ///< this machine or this build cannot
  overflow = 12,          ///< a count is full
  corrupt = 13,           ///< an image or a table contradicts itself
  again = 14,             ///< budget used up; call again with the cursor
};

[[nodiscard]] constexpr const char* to_string(Error error) {
  switch (error) {
    case Error::invalid_argument: return "invalid argument";
    case Error::misaligned: return "misaligned";
    case Error::out_of_range: return "out of range";
    case Error::out_of_memory: return "out of memory";
    case Error::no_table_memory: return "table pool used up";
    case Error::not_owner: return "not the owner";
    case Error::busy: return "busy";
    case Error::exists: return "already there";
    case Error::not_found: return "not found";
    case Error::not_permitted: return "not permitted";
    case Error::unsupported: return "not supported";
    case Error::overflow: return "count full";
    case Error::corrupt: return "corrupt";
    case Error::again: return "again";
  }
  return "unknown error";
}

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] constexpr std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(error); }
}  // namespace octavo

/// The value of a Result, or return its error from the enclosing function.
#define OCTAVO_TRY(expression)                                           \
  __extension__({                                                        \
    auto&& octavo_try_result = (expression);                             \
    if (!octavo_try_result) [[unlikely]]                                 \
      return std::unexpected(octavo_try_result.error());                 \
    ::octavo::detail::take(octavo_try_result);                           \
  })

namespace octavo::detail {
template <class T, class E>
constexpr T take(std::expected<T, E>& result) {
  if constexpr (!__is_same(T, void)) return static_cast<T&&>(*result);
}
}  // namespace octavo::detail
