#include "store/trust/ed25519.h"

#include <optional>

#include "base/base64url.h"
#include "base/secret_text.h"
#include "store/trust/sodium.h"

namespace mcpfleet {

using sodium::Begin, sodium::Bytes, sodium::Decode;

SigningKey SigningKey::Create() {
  Begin();
  SigningKey key;
  std::string public_key(crypto_sign_PUBLICKEYBYTES, '\0');
  key.secret_.resize(crypto_sign_SECRETKEYBYTES);
  crypto_sign_keypair(Bytes(public_key), Bytes(key.secret_));
  key.public_key_ = Base64UrlEncode(public_key);
  return key;
}

StatusOr<SigningKey> SigningKey::FromSeed(std::string_view seed) {
  Begin();
  std::optional<std::string> bytes = Decode(seed, crypto_sign_SEEDBYTES);
  if (!bytes) return InvalidArgument("not a private key: 43 characters of base64url are expected");
  SigningKey key;
  std::string public_key(crypto_sign_PUBLICKEYBYTES, '\0');
  key.secret_.resize(crypto_sign_SECRETKEYBYTES);
  crypto_sign_seed_keypair(Bytes(public_key), Bytes(key.secret_), Bytes(*bytes));
  WipeText(&*bytes);
  key.public_key_ = Base64UrlEncode(public_key);
  return key;
}

SigningKey::~SigningKey() { WipeText(&secret_); }

std::string SigningKey::Seed() const {
  return Base64UrlEncode(std::string_view(secret_).substr(0, crypto_sign_SEEDBYTES));
}

std::string SigningKey::Sign(std::string_view message) const {
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(Bytes(signature), nullptr, Bytes(message), message.size(), Bytes(secret_));
  return Base64UrlEncode(signature);
}

bool IsPublicKey(std::string_view text) { return Decode(text, crypto_sign_PUBLICKEYBYTES).has_value(); }

bool VerifySignature(std::string_view public_key, std::string_view message, std::string_view signature) {
  Begin();
  const std::optional<std::string> key = Decode(public_key, crypto_sign_PUBLICKEYBYTES);
  const std::optional<std::string> given = Decode(signature, crypto_sign_BYTES);
  return key && given && crypto_sign_verify_detached(Bytes(*given), Bytes(message), message.size(), Bytes(*key)) == 0;
}

}  // namespace mcpfleet
