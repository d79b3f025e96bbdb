// Walks JSON text from value to value without making anything of it. For text that is known to be valid; on any other
// it finds nonsense but never reads past the end.
#pragma once

#include <cstring>
#include <string_view>

namespace mcpfleet::mcp {

class JsonScan {
 public:
  explicit JsonScan(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  bool AtEnd() {
    SkipSpace();
    return at_ >= text_.size();
  }
  bool Take(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // The next value's bytes, without white space around it; empty when there is none.
  std::string_view Value() {
    SkipSpace();
    const size_t begin = at_;
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        SkipString();
        if (depth == 0) break;
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;
        ++at_;
        if (--depth == 0) break;
      } else if (depth == 0 && (c == ',' || c == ':' || IsSpace(c))) {
        break;
      } else {
        ++at_;
      }
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }
  // Long strings (images, files) are most of what is skipped: by memchr, and then a look at the backslashes before.
  void SkipString() {
    const size_t begin = at_ + 1;
    at_ = begin;
    while (at_ < text_.size()) {
      const void* quote = memchr(text_.data() + at_, '"', text_.size() - at_);
      if (quote == nullptr) break;
      const size_t end = static_cast<size_t>(static_cast<const char*>(quote) - text_.data());
      size_t slashes = 0;
      while (end - slashes > begin && text_[end - slashes - 1] == '\\') ++slashes;
      at_ = end + 1;
      if (slashes % 2 == 0) return;
    }
    at_ = text_.size();
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace mcpfleet::mcp
