// SPDX-License-Identifier: Apache-2.0
// Finds a text in a stream that arrives in pieces, without keeping the stream.
#pragma once
#include <string>
#include <string_view>

namespace octavo::tool {

class TextWatch {
 public:
  explicit TextWatch(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool seen() const { return seen_; }
  void feed(std::string_view piece) {
    if (seen_) return;
    tail_ += piece;
    seen_ = tail_.find(text_) != std::string::npos;
    // A text that is split between two pieces begins at most size-1 bytes before the end of the first.
    if (tail_.size() >= text_.size()) tail_.erase(0, tail_.size() - text_.size() + (text_.empty() ? 0 : 1));
  }

 private:
  std::string text_;
  std::string tail_;
  bool seen_ = false;
};
}  // namespace octavo::tool
