#include "store/trust/sealing.h"

#include <optional>

#include "base/base64url.h"
#include "base/secret_text.h"
#include "store/trust/sodium.h"

namespace mcpfleet {

using sodium::Begin, sodium::Bytes, sodium::Decode;

SealingKey SealingKey::Create() {
  Begin();
  SealingKey key;
  std::string public_bytes(crypto_box_PUBLICKEYBYTES, '\0');
  key.secret_.resize(crypto_box_SECRETKEYBYTES);
  crypto_box_keypair(Bytes(public_bytes), Bytes(key.secret_));
  key.public_key_ = Base64UrlEncode(public_bytes);
  return key;
}

StatusOr<SealingKey> SealingKey::FromSecret(std::string_view secret) {
  Begin();
  SealingKey key;
  std::optional<std::string> bytes = Decode(secret, crypto_box_SECRETKEYBYTES);
  if (!bytes) return InvalidArgument("not a private key: 43 characters of base64url are expected");
  key.secret_ = *bytes;
  WipeText(&*bytes);
  std::string public_bytes(crypto_box_PUBLICKEYBYTES, '\0');
  crypto_scalarmult_base(Bytes(public_bytes), Bytes(key.secret_));
  key.public_key_ = Base64UrlEncode(public_bytes);
  return key;
}

SealingKey::~SealingKey() { WipeText(&secret_); }

std::string SealingKey::Secret() const { return Base64UrlEncode(secret_); }

StatusOr<std::string> SealingKey::Open(std::string_view sealed) const {
  if (sealed.size() < crypto_box_SEALBYTES) return PermissionDenied("a sealed box is too short");
  const std::string public_bytes = *Decode(public_key_, crypto_box_PUBLICKEYBYTES);
  std::string text(sealed.size() - crypto_box_SEALBYTES, '\0');
  if (crypto_box_seal_open(Bytes(text), Bytes(sealed), sealed.size(), Bytes(public_bytes), Bytes(secret_)) != 0) {
    return PermissionDenied("a sealed box is for another key, or was altered");
  }
  return text;
}

StatusOr<std::string> Seal(std::string_view public_key, std::string_view text) {
  Begin();
  const std::optional<std::string> key = Decode(public_key, crypto_box_PUBLICKEYBYTES);
  if (!key) return InvalidArgument("not a public key for sealing: 43 characters of base64url are expected");
  std::string sealed(text.size() + crypto_box_SEALBYTES, '\0');
  if (crypto_box_seal(Bytes(sealed), Bytes(text), text.size(), Bytes(*key)) != 0) {
    return InvalidArgument("nothing can be sealed to this public key");
  }
  return sealed;
}

}  // namespace mcpfleet
