#include "edge-runtime/gateway/jwt.h"

#include <algorithm>
#include <array>

#include "base/base64url.h"
#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

constexpr int kTries = 4;  // keys of one name: issuers have one, rarely two while they change it
constexpr JsonLimits kTokenJson{.bytes = kMaxTokenBytes, .depth = 16};

Status Refused(std::string_view why) { return Unauthenticated(why); }

StatusOr<Json> DecodeObject(std::string_view part, std::string_view what) {
  std::optional<std::string> text = Base64UrlDecode(part);
  if (!text.has_value()) return Refused(std::string(what) + " is not base64url");
  StatusOr<Json> value = ParseJson(*text, kTokenJson);
  if (!value.ok() || !value->is_object()) return Refused(std::string(what) + " is no JSON object");
  return value;
}

// RFC 9068 says at+jwt; many issuers say JWT or nothing. Other types are tokens for another purpose (logout, DPoP, …).
bool IsAccessTokenType(const Json& typ) {
  if (typ.is_null()) return true;
  if (!typ.is_string()) return false;
  std::string type = ToLower(typ.get_ref<const std::string&>());
  if (type.starts_with("application/")) type.erase(0, 12);
  return type == "jwt" || type == "at+jwt";
}

bool HasAudience(const Json& aud, const std::vector<std::string>& wanted) {
  auto matches = [&](const Json& one) {
    return one.is_string() &&
           std::find(wanted.begin(), wanted.end(), one.get_ref<const std::string&>()) != wanted.end();
  };
  return aud.is_array() ? std::any_of(aud.begin(), aud.end(), matches) : matches(aud);
}

double Seconds(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }
constexpr double kLeewaySeconds = std::chrono::duration<double>(kClockLeeway).count();

void AddWords(std::string_view text, std::vector<std::string>* out) {
  for (std::string& word : Split(text, ' ')) {
    if (!word.empty()) out->push_back(std::move(word));
  }
}

}  // namespace

std::optional<JwtAlg> JwtAlgFromString(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, JwtAlg>, 8> kNames = {{{"RS256", JwtAlg::kRs256},
                                                                                 {"RS384", JwtAlg::kRs384},
                                                                                 {"RS512", JwtAlg::kRs512},
                                                                                 {"PS256", JwtAlg::kPs256},
                                                                                 {"ES256", JwtAlg::kEs256},
                                                                                 {"ES384", JwtAlg::kEs384},
                                                                                 {"EdDSA", JwtAlg::kEdDsa},
                                                                                 {"Ed25519", JwtAlg::kEdDsa}}};
  for (const auto& [known, alg] : kNames) {
    if (known == name) return alg;
  }
  return std::nullopt;
}

StatusOr<Jwt> ParseJwt(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return Refused("the token is larger than 8192 bytes");
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return Refused("the token is no signed JWT of three parts");
  ASSIGN_OR_RETURN(Json header, DecodeObject(token.substr(0, first), "the header of the token"));
  const Json& kid = GetMember(header, "kid");
  if (!kid.is_null() && !kid.is_string()) return Refused("kid of the token is no string");
  // What is critical must be understood, and no extension is.
  if (header.contains("crit")) return Refused("crit of the token names extensions that are not supported");
  if (!IsAccessTokenType(GetMember(header, "typ"))) return Refused("typ of the token is not that of an access token");
  std::optional<JwtAlg> alg = JwtAlgFromString(GetString(header, "alg"));
  if (!alg.has_value())
    return Refused("alg of the token is not allowed; allowed: RS256 RS384 RS512 PS256 ES256 ES384 EdDSA");
  Jwt jwt{.alg = *alg, .kid = GetString(header, "kid")};
  ASSIGN_OR_RETURN(jwt.claims, DecodeObject(token.substr(first + 1, second - first - 1), "the payload of the token"));
  std::optional<std::string> signature = Base64UrlDecode(token.substr(second + 1));
  if (!signature.has_value()) return Refused("the signature of the token is not base64url");
  jwt.signature = *std::move(signature);
  jwt.signed_text = std::string(token.substr(0, second));
  return jwt;
}

Status CheckSignature(const Jwt& jwt, const KeySet& keys) {
  int tried = 0;
  for (const PublicKey& key : keys.keys) {
    if ((!jwt.kid.empty() && key.kid() != jwt.kid) || !key.Fits(jwt.alg)) continue;
    if (key.Verify(jwt.alg, jwt.signed_text, jwt.signature)) return OkStatus();
    if (++tried == kTries) break;
  }
  return tried == 0 ? NotFound("the token is signed with a key that the issuer does not have")
                    : Refused("the signature of the token is wrong");
}

Status CheckClaims(const Json& claims, const JwtRules& rules, WallTime now) {
  if (rules.issuer.empty() || GetString(claims, "iss") != rules.issuer)
    return Refused("the token is of another issuer");
  if (!HasAudience(GetMember(claims, "aud"), rules.audiences)) return Refused("the token is for another audience");
  for (const char* name : {"exp", "nbf", "iat"}) {
    const Json& time = GetMember(claims, name);
    if (!time.is_null() && !time.is_number()) return Refused("exp, nbf or iat of the token is no number");
  }
  if (GetMember(claims, "exp").is_null()) return Refused("the token has no exp");
  if (HasExpired(ExpiryOf(claims), now)) return Refused("the token has expired");
  for (const char* name : {"nbf", "iat"}) {
    const Json& time = GetMember(claims, name);
    if (time.is_number() && time.get<double>() > Seconds(now) + kLeewaySeconds)
      return Refused("the token is not valid yet");
  }
  return OkStatus();
}

bool HasExpired(double exp, WallTime now) { return Seconds(now) >= exp + kLeewaySeconds; }

double ExpiryOf(const Json& claims) {
  const Json& exp = GetMember(claims, "exp");
  return exp.is_number() ? exp.get<double>() : 0;
}

std::vector<std::string> ScopesOf(const Json& claims) {
  std::vector<std::string> scopes;
  for (const char* name : {"scope", "scp"}) {
    const Json& value = GetMember(claims, name);
    if (value.is_string()) AddWords(value.get_ref<const std::string&>(), &scopes);
    if (!value.is_array()) continue;
    for (const Json& one : value) {
      if (one.is_string()) scopes.push_back(one.get<std::string>());
    }
  }
  return scopes;
}

}  // namespace mcpfleet::gateway
