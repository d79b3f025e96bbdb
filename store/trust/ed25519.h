// Ed25519 (RFC 8032), by libsodium. Keys and signatures are base64url text without padding, as they stand in documents:
// a public key has 43 characters, a signature 86.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// A private key. Its memory is wiped when it goes.
class SigningKey {
 public:
  static SigningKey Create();
  // `seed`: 32 bytes as base64url, as Seed() gives it.
  static StatusOr<SigningKey> FromSeed(std::string_view seed);
  SigningKey(SigningKey&&) = default;
  SigningKey& operator=(SigningKey&&) = default;
  ~SigningKey();

  std::string Seed() const;  // secret
  const std::string& public_key() const { return public_key_; }
  std::string Sign(std::string_view message) const;

 private:
  SigningKey() = default;
  std::string secret_;  // 64 bytes, libsodium's form
  std::string public_key_;
};

bool IsPublicKey(std::string_view text);
// False also for what is no key or no signature.
bool VerifySignature(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace mcpfleet
