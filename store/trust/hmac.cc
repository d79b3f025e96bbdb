#include "store/trust/hmac.h"

#include "store/trust/sodium.h"

namespace mcpfleet {

using sodium::Bytes;

std::string HmacSha256Hex(std::string_view key, std::string_view text) {
  sodium::Begin();
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, Bytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, Bytes(text), text.size());
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_final(&state, mac);
  sodium_memzero(&state, sizeof state);
  std::string hex(2 * sizeof mac + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), mac, sizeof mac);
  hex.pop_back();
  return hex;
}

}  // namespace mcpfleet
