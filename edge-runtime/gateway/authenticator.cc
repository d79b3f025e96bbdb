#include "edge-runtime/gateway/authenticator.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "edge-runtime/gateway/verified_tokens.h"

namespace mcpfleet::gateway {
namespace {

constexpr char kAccessHeader[] = "Cf-Access-Jwt-Assertion";
// OpenID allows 255; it becomes part of keys in memory.
constexpr size_t kMaxSubjectBytes = 512;

// RFC 7230 quoted-string. Nothing that could end the header or the string gets in.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c < 0x20 || c > 0x7e) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// RFC 6750 §2.1: b64token.
bool IsToken(std::string_view text) {
  const std::string_view body = text.substr(0, text.find_last_not_of('=') + 1);
  return !body.empty() && std::all_of(body.begin(), body.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/").find(c) != std::string_view::npos;
  });
}

// The one value of the header, nullopt when it is absent; an error when it is there twice: which one counts?
StatusOr<std::optional<std::string>> OnlyOne(const http::Headers& headers, const std::string& name) {
  std::optional<std::string> found;
  for (const auto& [key, value] : headers.fields()) {
    if (!EqualsIgnoreCase(key, name)) continue;
    if (found.has_value()) return Unauthenticated("the header " + name + " is there twice");
    found = value;
  }
  return found;
}

// What stands behind "Bearer"; nullopt when the client gave no such credentials.
StatusOr<std::optional<std::string>> BearerCredentials(const http::Headers& headers) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, OnlyOne(headers, "Authorization"));
  if (!value.has_value()) return value;
  const std::string_view text = Trim(*value);
  const size_t space = text.find(' ');
  if (!EqualsIgnoreCase(text.substr(0, space), "Bearer")) return std::optional<std::string>();
  const std::string token(space == std::string_view::npos ? std::string_view() : Trim(text.substr(space)));
  if (token.size() > kMaxTokenBytes) return Unauthenticated("the token is larger than 8192 bytes");
  if (!IsToken(token)) return Unauthenticated("the token has characters that no token has");
  return std::optional<std::string>(token);
}

std::string AccessIssuer(const AuthSpec& spec) { return "https://" + spec.team + ".cloudflareaccess.com"; }

bool HasIssuer(AuthType type) {
  switch (type) {
    case AuthType::kNone:
    case AuthType::kBearer:
      return false;
    case AuthType::kJwt:
    case AuthType::kCloudflareAccess:
      return true;
  }
  return false;
}

JwtRules RulesOf(const AuthSpec& spec, std::vector<std::string> resources) {
  if (spec.type == AuthType::kCloudflareAccess) return {spec.team.empty() ? "" : AccessIssuer(spec), {spec.audience}};
  if (!spec.audience.empty()) return {spec.issuer, {spec.audience}};
  return {spec.issuer, std::move(resources)};
}

std::string KeysOf(const AuthSpec& spec, const std::string& access_base_url) {
  if (spec.type != AuthType::kCloudflareAccess) return spec.jwks_uri;
  return (access_base_url.empty() ? AccessIssuer(spec) : access_base_url) + "/cdn-cgi/access/certs";
}

}  // namespace

class Authenticator::Tokens : public std::enable_shared_from_this<Authenticator::Tokens> {
 public:
  Tokens(AuthSpec spec, std::vector<std::string> resources, std::string metadata_url, const Clock& clock,
         JwksCache& keys, AuthenticatorOptions options)
      : spec_(std::move(spec)),
        rules_(RulesOf(spec_, std::move(resources))),
        keys_uri_(KeysOf(spec_, options.access_base_url)),
        metadata_url_(std::move(metadata_url)),
        clock_(clock),
        keys_(keys),
        now_(std::move(options.now)) {}

  void Check(const http::Request& request, const Done& done) {
    if (spec_.type == AuthType::kNone) return done(Subject{"anonymous"});
    StatusOr<std::optional<std::string>> token = spec_.type == AuthType::kCloudflareAccess
                                                     ? OnlyOne(request.headers, kAccessHeader)
                                                     : BearerCredentials(request.headers);
    if (!token.ok()) return done(Refuse(token.status()));
    if (!token->has_value()) return done(NoToken());
    if (spec_.type == AuthType::kBearer) return done(JudgeBearer(**token));
    CheckJwt(**token, done);
  }

 private:
  Verdict JudgeBearer(const std::string& token) const {
    const std::string digest = Sha256Hex(token);
    const BearerToken* found = nullptr;
    for (const BearerToken& known : spec_.tokens) {  // all of them, whichever it is
      if (EqualsInConstantTime(known.sha256, digest)) found = &known;
    }
    if (found == nullptr) return Refuse(Unauthenticated("the token is not known"));
    return Subject{"bearer:" + found->name};
  }

  void CheckJwt(const std::string& token, const Done& done) {
    const std::string digest = Sha256Bytes(token);
    std::string kid;
    if (const VerifiedToken* known = verified_.Find(digest)) {
      kid = known->kid;
    } else {
      StatusOr<Jwt> jwt = ParseJwt(token);
      if (!jwt.ok()) return done(Refuse(jwt.status()));
      // Before the keys are looked for: what is not for us must not make us fetch anything.
      if (Status claims = CheckClaims(jwt->claims, rules_, Now()); !claims.ok()) return done(Refuse(claims));
      kid = jwt->kid;
    }
    keys_.Find(keys_uri_, kid, [self = shared_from_this(), token, digest, done](const StatusOr<JwksCache::Keys>& keys) {
      done(keys.ok() ? self->JudgeJwt(token, digest, *keys) : NoKeys());
    });
  }

  Verdict JudgeJwt(const std::string& token, const std::string& digest, const JwksCache::Keys& keys) {
    const WallTime now = Now();
    const VerifiedToken* known = verified_.Find(digest);
    if (known != nullptr && known->keys == keys && !HasExpired(known->expires, now)) return known->subject;
    StatusOr<Jwt> jwt = ParseJwt(token);
    if (!jwt.ok()) return Refuse(jwt.status());
    // Again, where it was done before: the keys may have been waited for.
    if (Status claims = CheckClaims(jwt->claims, rules_, now); !claims.ok()) return Refuse(claims);
    if (Status signature = CheckSignature(*jwt, *keys); !signature.ok()) return Refuse(signature);
    StatusOr<Subject> subject = SubjectOf(jwt->claims);
    if (!subject.ok()) return Refuse(subject.status());
    if (!HasScopes(jwt->claims)) return LacksScopes();
    verified_.Add(digest, {*subject, jwt->kid, keys, ExpiryOf(jwt->claims)});
    return *std::move(subject);
  }

  StatusOr<Subject> SubjectOf(const Json& claims) const {
    const bool access = spec_.type == AuthType::kCloudflareAccess;
    std::string name = GetString(claims, "sub");
    if (name.empty() && access) name = GetString(claims, "email");
    if (name.empty() && access) name = GetString(claims, "common_name");  // of a service token: its client id
    if (name.empty() || name.size() > kMaxSubjectBytes)
      return Unauthenticated("sub of the token is missing or longer than 512 bytes");
    return Subject{access ? "access:" + spec_.team + "|" + name : "jwt:" + spec_.issuer + "|" + name};
  }

  bool HasScopes(const Json& claims) const {
    if (spec_.type != AuthType::kJwt || spec_.scopes.empty()) return true;
    const std::vector<std::string> has = ScopesOf(claims);
    return std::all_of(spec_.scopes.begin(), spec_.scopes.end(),
                       [&](const std::string& scope) { return std::find(has.begin(), has.end(), scope) != has.end(); });
  }

  Verdict NoToken() const {
    const std::string where = spec_.type == AuthType::kCloudflareAccess
                                  ? "this server is reached through Cloudflare Access only"
                                  : "this server wants a token: Authorization: Bearer TOKEN";
    return Refusal{401, Challenge("", ""), where};
  }
  // Takes the fixed texts of the checks only: nothing of the token comes back.
  Verdict Refuse(const Status& why) const {
    return Refusal{401, Challenge("invalid_token", Message(why)), Message(why)};
  }
  Verdict LacksScopes() const {
    const std::string why = "the token lacks a scope; needed: " + Join(spec_.scopes, " ");
    return Refusal{403, Challenge("insufficient_scope", why), why};
  }
  static Verdict NoKeys() { return Refusal{503, "", "the issuer's keys can't be had now; try again later"}; }

  std::string Challenge(std::string_view error, std::string_view description) const {
    std::vector<std::string> parameters;
    // A scheme alone is no challenge (RFC 6750 §3); fixed tokens have nothing to discover.
    parameters.push_back(HasIssuer(spec_.type) && !metadata_url_.empty() ? "resource_metadata=" + Quoted(metadata_url_)
                                                                         : "realm=\"mcpfleet\"");
    if (!error.empty()) {
      parameters.push_back("error=" + Quoted(error));
      parameters.push_back("error_description=" + Quoted(description));
    }
    if (spec_.type == AuthType::kJwt && !spec_.scopes.empty())
      parameters.push_back("scope=" + Quoted(Join(spec_.scopes, " ")));
    return "Bearer " + Join(parameters, ", ");
  }

  WallTime Now() const { return now_ ? now_() : clock_.Wall(); }

  const AuthSpec spec_;
  const JwtRules rules_;
  const std::string keys_uri_, metadata_url_;
  const Clock& clock_;
  JwksCache& keys_;
  const std::function<WallTime()> now_;
  VerifiedTokens verified_;
};

Authenticator::Authenticator(AuthSpec spec, std::vector<std::string> resources, std::string metadata_url,
                             const Clock& clock, JwksCache& keys, AuthenticatorOptions options)
    : tokens_(std::make_shared<Tokens>(std::move(spec), std::move(resources), std::move(metadata_url), clock, keys,
                                       std::move(options))) {}
Authenticator::~Authenticator() = default;

void Authenticator::Check(const http::Request& request, const Done& done) { tokens_->Check(request, done); }

std::optional<std::string> ResourceMetadata(const AuthSpec& spec, std::string_view resource_url) {
  if (!HasIssuer(spec.type)) return std::nullopt;
  const bool access = spec.type == AuthType::kCloudflareAccess;
  Json metadata = {{"resource", std::string(resource_url)},
                   {"authorization_servers", {access ? AccessIssuer(spec) : spec.issuer}},
                   {"bearer_methods_supported", {"header"}}};
  if (!access && !spec.scopes.empty()) metadata["scopes_supported"] = spec.scopes;
  return DumpJson(metadata);
}

}  // namespace mcpfleet::gateway
