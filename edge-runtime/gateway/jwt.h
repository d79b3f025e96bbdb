// JSON Web Tokens as OAuth access tokens are: signed (RFC 7515, 7519, 9068), with an issuer's public keys (RFC 7517).
//
//   ASSIGN_OR_RETURN(Jwt jwt, ParseJwt(token));
//   RETURN_IF_ERROR(CheckClaims(jwt.claims, rules, now));
//   RETURN_IF_ERROR(CheckSignature(jwt, keys));     // only now is anything in it true
//
// A token says nothing about how it is to be checked: the keys are the configured issuer's (jku, jwk, x5u in it are not
// read), and a key is of one kind, so a public key never becomes the secret of an HMAC. Tokens come from strangers:
// sizes, depth, duplicate members and the spelling of base64 are bounded and strict.
//
// Pure functions; thread-safe. Messages of errors are fixed texts of printable ASCII without quotes, fit for
// error_description (RFC 6750 §3).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

struct evp_pkey_st;

namespace mcpfleet::gateway {

inline constexpr size_t kMaxTokenBytes = 8192;  // a header of 32 KiB holds little else; real ones have 1 to 3 KiB
inline constexpr size_t kMaxKeySetBytes = size_t{256} << 10;
inline constexpr size_t kMaxKeys = 64;  // issuers publish 2 to 10
inline constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
inline constexpr Duration kClockLeeway = std::chrono::seconds(60);

// The algorithms that are taken. Not among them: none, and HMAC, for which everybody who checks could also sign.
enum class JwtAlg { kRs256, kRs384, kRs512, kPs256, kEs256, kEs384, kEdDsa };
std::optional<JwtAlg> JwtAlgFromString(std::string_view name);

// One public key of an issuer, for signatures only.
class PublicKey {
 public:
  // InvalidArgument for what can't check signatures of ours: other types and curves, RSA below 2048 bits, another
  // `use`, a point that is not on its curve.
  static StatusOr<PublicKey> FromJwk(const Json& jwk);

  const std::string& kid() const { return kid_; }  // "" when it has none
  bool Fits(JwtAlg alg) const;
  // `signature` as JWS has it: for ECDSA the two numbers, not DER. Requires Fits(alg).
  bool Verify(JwtAlg alg, std::string_view signed_text, std::string_view signature) const;

 private:
  enum class Kind { kRsa, kP256, kP384, kEd25519 };
  PublicKey() = default;

  Kind kind_ = Kind::kRsa;
  std::string kid_;
  std::optional<JwtAlg> only_;        // the key's own `alg`
  std::shared_ptr<evp_pkey_st> key_;  // shared: a set is copied, and a key never changes
};

struct KeySet {
  std::vector<PublicKey> keys;

  // A key named so; with "" any key.
  bool Has(std::string_view kid) const;
};

// Keys that can't be used are left out; InvalidArgument when none is left or `body` is no JWK set of at most 64 keys.
StatusOr<KeySet> ParseKeySet(std::string_view body);

struct Jwt {
  JwtAlg alg = JwtAlg::kRs256;
  std::string kid;  // "" when it names none
  Json claims;      // an object
  std::string signed_text, signature;
};

// Unauthenticated for what is no token that we take, whoever signed it.
StatusOr<Jwt> ParseJwt(std::string_view token);
// Tries the keys of that name and kind, at most four. NotFound: there are none; Unauthenticated: it is forged.
Status CheckSignature(const Jwt& jwt, const KeySet& keys);

struct JwtRules {
  std::string issuer;                  // exactly; "" takes none
  std::vector<std::string> audiences;  // one of them; empty takes none
};
// iss, aud, exp (required), nbf and iat, with 60 s for clocks that differ. Unauthenticated says which.
Status CheckClaims(const Json& claims, const JwtRules& rules, WallTime now);
// exp in seconds since 1970; 0 when there is none.
double ExpiryOf(const Json& claims);
// With the same 60 s.
bool HasExpired(double exp, WallTime now);
// `scope` (words in one string, RFC 8693) and `scp` (a list or such a string), as issuers write them.
std::vector<std::string> ScopesOf(const Json& claims);

}  // namespace mcpfleet::gateway
