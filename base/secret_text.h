// Bytes that nobody may read once they were used: a value of a secret, a data key. Moves leave nothing behind, and the
// memory is zeroed when it goes. It can't be printed or copied by mistake.
#pragma once

#include <string.h>

#include <string>
#include <string_view>
#include <utility>

namespace mcpfleet {

// Zeroes the whole of a string's memory, the unused part too, and empties it.
inline void WipeText(std::string* text) {
  // Small strings live inside the object: also what an earlier, longer one left there.
  text->clear();
  text->resize(text->capacity());
  explicit_bzero(text->data(), text->size());
  text->clear();
}

class SecretText {
 public:
  SecretText() = default;
  // Takes the bytes and wipes what they came in.
  explicit SecretText(std::string&& text) { Take(&text); }
  static SecretText CopyOf(std::string_view text) { return SecretText(std::string(text)); }
  SecretText(SecretText&& other) noexcept { Take(&other.text_); }
  SecretText& operator=(SecretText&& other) noexcept {
    if (this != &other) {
      WipeText(&text_);
      Take(&other.text_);
    }
    return *this;
  }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { WipeText(&text_); }

  std::string_view view() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  void Take(std::string* from) {
    text_ = std::move(*from);
    WipeText(from);
  }
  std::string text_;
};

}  // namespace mcpfleet
