// Sealed boxes by libsodium (X25519, XSalsa20-Poly1305): what only the owner of a private key can open, and nobody
// can tell who made it. Keys are base64url text of 32 bytes, 43 characters.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// A private key. Its memory is wiped when it goes.
class SealingKey {
 public:
  static SealingKey Create();
  // `secret`: 32 bytes as base64url, as Secret() gives it.
  static StatusOr<SealingKey> FromSecret(std::string_view secret);
  SealingKey(SealingKey&&) = default;
  SealingKey& operator=(SealingKey&&) = default;
  ~SealingKey();

  std::string Secret() const;  // secret
  const std::string& public_key() const { return public_key_; }
  // What Seal() was given. PermissionDenied when it was sealed to another key or was altered.
  StatusOr<std::string> Open(std::string_view sealed) const;

 private:
  SealingKey() = default;
  std::string secret_, public_key_;
};

// Bytes that are 48 longer than `text`. InvalidArgument for what is no public key.
StatusOr<std::string> Seal(std::string_view public_key, std::string_view text);

}  // namespace mcpfleet
