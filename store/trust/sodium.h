// What every use of libsodium here begins with.
#pragma once

#include <sodium.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/base64url.h"

namespace mcpfleet::sodium {

// Before anything else of the library. Thread-safe.
inline void Begin() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) abort();  // no source of random bytes
}

inline const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
inline unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// nullopt for what isn't base64url of just so many bytes.
inline std::optional<std::string> Decode(std::string_view text, size_t bytes) {
  std::optional<std::string> decoded = Base64UrlDecode(text);
  if (!decoded || decoded->size() != bytes) return std::nullopt;
  return decoded;
}

}  // namespace mcpfleet::sodium
