// SPDX-License-Identifier: Apache-2.0
// Text out of values, type-safe and without memory: format(sink, "gfn {:x} order {}", gfn, order). `{}` takes the next
// argument; `{:x}` hexadecimal, `{:08x}` padded with zeros, `{:8}` right-aligned, `{:<8}` left-aligned. The number of `{}` is
// checked against the arguments when it is compiled.
#pragma once
#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

#include "lib/address.hpp"
#include "lib/error.hpp"
#include "lib/int.hpp"

namespace octavo {

/// Where text goes. Implementations are the console, a ring, a buffer.
class Sink {
 public:
  virtual void put(std::string_view text) = 0;

 protected:
  ~Sink() = default;
};

/// A Sink over a caller's buffer. What does not fit is dropped and noted.
class BufferSink final : public Sink {
 public:
  explicit BufferSink(std::span<char> buffer) : buffer_(buffer) {}
  void put(std::string_view text) override {
    for (const char c : text) {
      if (used_ == buffer_.size()) { truncated_ = true; return; }
      buffer_[used_++] = c;
    }
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data(), used_}; }
  [[nodiscard]] bool truncated() const { return truncated_; }

 private:
  std::span<char> buffer_;
  usize used_ = 0;
  bool truncated_ = false;
};

namespace detail {
struct FormatArgument {
  enum class Kind : u8 { unsigned_number, signed_number, text, character };
  Kind kind;
  u64 number = 0;
  std::string_view text{};

  constexpr FormatArgument(std::string_view s) : kind(Kind::text), text(s) {}
  constexpr FormatArgument(const char* s) : kind(Kind::text), text(s != nullptr ? std::string_view{s} : "(null)") {}
  constexpr FormatArgument(char c) : kind(Kind::character), number(static_cast<u8>(c)) {}
  constexpr FormatArgument(bool b) : kind(Kind::text), text(b ? "yes" : "no") {}
  constexpr FormatArgument(Error e) : kind(Kind::text), text(to_string(e)) {}
  constexpr FormatArgument(Order o) : kind(Kind::unsigned_number), number(o.value()) {}
  template <class Tag>
  constexpr FormatArgument(const StrongNumber<Tag>& n) : kind(Kind::unsigned_number), number(n.value()) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  constexpr FormatArgument(T n) : kind(Kind::unsigned_number), number(n) {}
  template <std::signed_integral T>
    requires(!std::same_as<T, char>)
  constexpr FormatArgument(T n) : kind(Kind::signed_number), number(static_cast<u64>(static_cast<i64>(n))) {}
  template <class T>
    requires std::is_enum_v<T>
  constexpr FormatArgument(T e) : FormatArgument(static_cast<std::underlying_type_t<T>>(e)) {}
  FormatArgument(const void* p) : kind(Kind::unsigned_number), number(reinterpret_cast<u64>(p)) {}
};

void format_arguments(Sink& sink, std::string_view pattern, std::span<const FormatArgument> arguments);
/// Not constexpr on purpose: naming it in a constant expression is the compile error that a wrong pattern gives.
void pattern_and_arguments_differ();
}  // namespace detail

template <class... Arguments>
struct BasicFormatString {
  std::string_view text;
  template <usize n>
  consteval BasicFormatString(const char (&pattern)[n]) : text(pattern, n - 1) {
    usize holes = 0;
    for (usize i = 0; i < text.size(); ++i) {
      if (text[i] != '{') continue;
      if (i + 1 < text.size() && text[i + 1] == '{') { ++i; continue; }
      ++holes;
    }
    if (holes != sizeof...(Arguments)) detail::pattern_and_arguments_differ();
  }
};
template <class... Arguments>
using FormatString = BasicFormatString<std::type_identity_t<Arguments>...>;

template <class... Arguments>
void format(Sink& sink, FormatString<Arguments...> pattern, const Arguments&... arguments) {
  if constexpr (sizeof...(Arguments) == 0) {
    detail::format_arguments(sink, pattern.text, {});
  } else {
    const detail::FormatArgument list[] = {detail::FormatArgument(arguments)...};
    detail::format_arguments(sink, pattern.text, list);
  }
}
}  // namespace octavo
