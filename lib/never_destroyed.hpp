// SPDX-License-Identifier: Apache-2.0
// A global object whose destructor never runs: the hypervisor does not end, so nothing has to be registered for its end.
#pragma once
namespace octavo {
template <class T>
union NeverDestroyed {
  constexpr NeverDestroyed() : value{} {}
  ~NeverDestroyed() {}
  NeverDestroyed(const NeverDestroyed&) = delete;
  NeverDestroyed& operator=(const NeverDestroyed&) = delete;
  T value;
};
}  // namespace octavo
