#include "edge-runtime/gateway/authenticator.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/edge-runtime/gateway/scripted_fetch.h"
#include "tests/edge-runtime/gateway/signer.h"

namespace mcpfleet::gateway {
namespace {

using namespace std::chrono_literals;

constexpr char kMetadata[] = "https://mcp.example/.well-known/oauth-protected-resource/a/b/mcp";
constexpr char kIssuer[] = "https://issuer.example";

AuthSpec JwtSpec() { return {.type = AuthType::kJwt, .issuer = kIssuer, .jwks_uri = "https://issuer.example/keys"}; }
AuthSpec AccessSpec() { return {.type = AuthType::kCloudflareAccess, .audience = "tag", .team = "acme"}; }
AuthSpec BearerSpec() {
  return {.type = AuthType::kBearer, .tokens = {{"laptop", Sha256Hex("mcpf_one")}, {"ci", Sha256Hex("mcpf_two")}}};
}

class AuthenticatorTest : public ::testing::Test {
 protected:
  void Use(const AuthSpec& spec, const AuthenticatorOptions& options = {}) {
    authenticator_ = std::make_unique<Authenticator>(
        spec, std::vector<std::string>{"https://mcp.example/a/b/mcp", "http://127.0.0.1:8700/a/b/mcp"}, kMetadata,
        clock_, cache_, options);
  }
  // nullopt while the answer waits for keys.
  std::shared_ptr<std::optional<Verdict>> Begin(const std::vector<std::pair<std::string, std::string>>& headers,
                                                const std::string& target = "/a/b/mcp") {
    http::Request request{.method = "POST", .target = target};
    for (const auto& [name, value] : headers) request.headers.Add(name, value);
    auto answer = std::make_shared<std::optional<Verdict>>();
    authenticator_->Check(request, [answer](const Verdict& verdict) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = verdict;
    });
    return answer;
  }
  static std::string Text(const Verdict& verdict) {
    if (const auto* subject = std::get_if<Subject>(&verdict)) return subject->id;
    const auto& refusal = std::get<Refusal>(verdict);
    return std::to_string(refusal.status) + " " + refusal.message;
  }
  // The subject, or "<status> <message>".
  std::string Check(const std::vector<std::pair<std::string, std::string>>& headers,
                    const std::string& target = "/a/b/mcp") {
    auto answer = Begin(headers, target);
    return answer->has_value() ? Text(**answer) : "waits";
  }
  std::string CheckToken(const std::string& token) { return Check({{"Authorization", "Bearer " + token}}); }
  std::string Challenge(const std::vector<std::pair<std::string, std::string>>& headers) {
    auto answer = Begin(headers);
    const Refusal* refusal = answer->has_value() ? std::get_if<Refusal>(&**answer) : nullptr;
    return refusal == nullptr ? "none" : refusal->www_authenticate;
  }
  int64_t Now() const { return clock_.Wall().time_since_epoch() / 1s; }
  Json Claims(const Json& with = Json::object()) const {
    Json claims = {{"iss", kIssuer}, {"aud", "https://mcp.example/a/b/mcp"}, {"exp", Now() + 300}, {"sub", "ann"}};
    claims.update(with);
    return claims;
  }
  Json AccessClaims(const Json& with = Json::object()) const {
    Json claims = {{"iss", "https://acme.cloudflareaccess.com"},
                   {"aud", {"tag"}},
                   {"exp", Now() + 300},
                   {"sub", "7335d417"},
                   {"email", "ann@acme.example"}};
    claims.update(with);
    return claims;
  }
  std::string Token(const Json& with = Json::object()) const { return signer_.Token("ES256", Claims(with)); }
  void ServeKeys(const Signer& signer) {
    fetch_.AnswerAtOnce([&signer] { return KeySetText({signer.Jwk()}); });
  }

  const Signer signer_{"k1"}, next_{"k2"};
  FakeClock clock_;
  ScriptedFetch fetch_;
  JwksCache cache_{clock_, fetch_.Function()};
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthenticatorTest, NoneTakesEverybodyAsAnonymous) {
  Use({});
  EXPECT_EQ(Check({}), "anonymous");
  EXPECT_EQ(CheckToken("anything"), "anonymous");
}

TEST_F(AuthenticatorTest, ABearerTokenIsTheSubjectOfItsName) {
  Use(BearerSpec());
  EXPECT_EQ(CheckToken("mcpf_one"), "bearer:laptop");
  EXPECT_EQ(Check({{"authorization", "bearer   mcpf_two "}}), "bearer:ci");
  EXPECT_EQ(CheckToken("mcpf_three"), "401 the token is not known");
  EXPECT_EQ(CheckToken(Sha256Hex("mcpf_one")), "401 the token is not known") << "the hash is no token";
}

TEST_F(AuthenticatorTest, ATokenCountsOnlyInItsHeader) {
  Use(BearerSpec());
  EXPECT_TRUE(Check({}, "/a/b/mcp?access_token=mcpf_one").starts_with("401 this server wants a token"));
  EXPECT_TRUE(Check({{"X-Authorization", "Bearer mcpf_one"}}).starts_with("401"));
  EXPECT_TRUE(Check({{"Authorization", "Basic mcpf_one"}}).starts_with("401 this server wants a token"));
  EXPECT_TRUE(Check({{"Authorization", "mcpf_one"}}).starts_with("401"));
  EXPECT_EQ(Check({{"Authorization", "Bearer mcpf_one"}, {"authorization", "Bearer mcpf_one"}}),
            "401 the header Authorization is there twice");
  for (const char* bad : {"", "=", "a b", "a,b", "a\tb", "\"mcpf_one\"", "mcpf_one\x80"})
    EXPECT_EQ(CheckToken(bad), "401 the token has characters that no token has") << bad;
  EXPECT_EQ(CheckToken(std::string(kMaxTokenBytes + 1, 'a')), "401 the token is larger than 8192 bytes");
}

TEST_F(AuthenticatorTest, ABearerChallengePointsToNoMetadata) {
  Use(BearerSpec());
  EXPECT_EQ(Challenge({}), "Bearer realm=\"mcpfleet\"");
  EXPECT_EQ(Challenge({{"Authorization", "Bearer x"}}),
            "Bearer realm=\"mcpfleet\", error=\"invalid_token\", error_description=\"the token is not known\"");
}

TEST_F(AuthenticatorTest, AJwtOfTheIssuerForThisEndpointIsItsSubject) {
  Use(JwtSpec());
  ServeKeys(signer_);
  EXPECT_EQ(CheckToken(Token()), "jwt:https://issuer.example|ann");
  EXPECT_EQ(CheckToken(Token({{"aud", {"x", "http://127.0.0.1:8700/a/b/mcp"}}})), "jwt:https://issuer.example|ann");
  EXPECT_EQ(fetch_.uris().front(), "https://issuer.example/keys");
}

TEST_F(AuthenticatorTest, EachReasonToRefuseAJwtIsSaid) {
  Use(JwtSpec());
  ServeKeys(signer_);
  const auto with = [&](const Json& claims) { return CheckToken(Token(claims)); };
  EXPECT_EQ(with({{"iss", "https://other.example"}}), "401 the token is of another issuer");
  EXPECT_EQ(with({{"aud", "https://mcp.example/a/c/mcp"}}), "401 the token is for another audience");
  EXPECT_EQ(with({{"exp", Now() - 60}}), "401 the token has expired");
  EXPECT_EQ(with({{"nbf", Now() + 61}}), "401 the token is not valid yet");
  for (const Json& sub : {Json(""), Json(nullptr), Json(7), Json(std::string(513, 'a'))})
    EXPECT_EQ(with({{"sub", sub}}), "401 sub of the token is missing or longer than 512 bytes") << sub;
  EXPECT_EQ(CheckToken("abc"), "401 the token is no signed JWT of three parts");
  EXPECT_EQ(CheckToken(next_.Token("ES256", Claims(), {{"kid", "k1"}})), "401 the signature of the token is wrong");
  EXPECT_EQ(CheckToken(next_.Token("ES256", Claims())),
            "401 the token is signed with a key that the issuer does not have");
}

TEST_F(AuthenticatorTest, WhatIsNotForUsFetchesNothing) {
  Use(JwtSpec());
  EXPECT_TRUE(CheckToken(Token({{"aud", "https://other.example"}})).starts_with("401"));
  EXPECT_TRUE(CheckToken(signer_.Token("ES256", Claims(), {{"alg", "none"}})).starts_with("401"));
  EXPECT_TRUE(Check({}).starts_with("401"));
  EXPECT_EQ(fetch_.count(), 0u);
}

TEST_F(AuthenticatorTest, AnAudienceOfTheSpecReplacesTheUrls) {
  AuthSpec spec = JwtSpec();
  spec.audience = "api://mcp";
  Use(spec);
  ServeKeys(signer_);
  EXPECT_TRUE(CheckToken(Token()).starts_with("401"));
  EXPECT_EQ(CheckToken(Token({{"aud", "api://mcp"}})), "jwt:https://issuer.example|ann");
}

TEST_F(AuthenticatorTest, ASpecWithoutAnIssuerTakesNothing) {
  AuthSpec spec = JwtSpec();
  spec.issuer = "";
  Use(spec);
  ServeKeys(signer_);
  EXPECT_TRUE(CheckToken(Token({{"iss", ""}})).starts_with("401"));
}

TEST_F(AuthenticatorTest, TheJwtChallengeLeadsToTheMetadata) {
  AuthSpec spec = JwtSpec();
  spec.scopes = {"mcp.read", "mcp.call"};
  Use(spec);
  ServeKeys(signer_);
  const std::string metadata = "Bearer resource_metadata=\"" + std::string(kMetadata) + "\"";
  EXPECT_EQ(Challenge({}), metadata + ", scope=\"mcp.read mcp.call\"");
  EXPECT_EQ(Challenge({{"Authorization", "Bearer " + Token({{"exp", 1}})}}),
            metadata +
                ", error=\"invalid_token\", error_description=\"the token has expired\", "
                "scope=\"mcp.read mcp.call\"");
}

TEST_F(AuthenticatorTest, AChallengeWithoutMetadataLeadsNowhere) {
  authenticator_ = std::make_unique<Authenticator>(JwtSpec(), std::vector<std::string>{}, "", clock_, cache_);
  ServeKeys(signer_);
  EXPECT_EQ(Challenge({}), "Bearer realm=\"mcpfleet\"");
  EXPECT_EQ(CheckToken(Token()), "401 the token is for another audience") << "an endpoint without a URL is nobody's";
}

TEST_F(AuthenticatorTest, AGoodTokenWithoutTheScopesIsForbiddenAndToldWhichItNeeds) {
  AuthSpec spec = JwtSpec();
  spec.scopes = {"mcp.read", "mcp.call"};
  Use(spec);
  ServeKeys(signer_);
  EXPECT_EQ(CheckToken(Token()), "403 the token lacks a scope; needed: mcp.read mcp.call");
  EXPECT_EQ(CheckToken(Token({{"scope", "mcp.read mcp.calls"}})),
            "403 the token lacks a scope; needed: mcp.read mcp.call");
  EXPECT_EQ(Challenge({{"Authorization", "Bearer " + Token({{"scp", {"mcp.read"}}})}}),
            "Bearer resource_metadata=\"" + std::string(kMetadata) +
                "\", error=\"insufficient_scope\", error_description=\"the token lacks a scope; needed: mcp.read "
                "mcp.call\", scope=\"mcp.read mcp.call\"");
  EXPECT_EQ(CheckToken(Token({{"scope", "mcp.call x mcp.read"}})), "jwt:https://issuer.example|ann");
  EXPECT_EQ(CheckToken(next_.Token("ES256", Claims(), {{"kid", "k1"}})), "401 the signature of the token is wrong")
      << "a forged token is told nothing of scopes";
}

TEST_F(AuthenticatorTest, AKeyThatTheIssuerChangedIsFetchedAndTheOldOneRefused) {
  Use(JwtSpec());
  ServeKeys(signer_);
  const std::string old_token = Token({{"exp", Now() + 7200}});
  EXPECT_EQ(CheckToken(old_token), "jwt:https://issuer.example|ann");
  clock_.Advance(30s);
  ServeKeys(next_);
  EXPECT_EQ(CheckToken(next_.Token("ES256", Claims())), "jwt:https://issuer.example|ann");
  EXPECT_EQ(fetch_.count(), 2u);
  EXPECT_EQ(CheckToken(old_token), "401 the token is signed with a key that the issuer does not have")
      << "though it was verified before";
}

TEST_F(AuthenticatorTest, ATokenThatWasVerifiedBeforeStillExpires) {
  Use(JwtSpec());
  ServeKeys(signer_);
  const std::string token = Token();
  EXPECT_EQ(CheckToken(token), "jwt:https://issuer.example|ann");
  clock_.Advance(359s);
  EXPECT_EQ(CheckToken(token), "jwt:https://issuer.example|ann");
  clock_.Advance(1s);
  EXPECT_EQ(CheckToken(token), "401 the token has expired");
}

TEST_F(AuthenticatorTest, ATokenOfOneEndpointIsNotRememberedForAnother) {
  Use(JwtSpec());
  ServeKeys(signer_);
  const std::string token = Token();
  EXPECT_EQ(CheckToken(token), "jwt:https://issuer.example|ann");
  Authenticator other(JwtSpec(), {"https://mcp.example/a/c/mcp"}, kMetadata, clock_, cache_);
  http::Request request;
  request.headers.Add("Authorization", "Bearer " + token);
  std::string text;
  other.Check(request, [&](const Verdict& verdict) { text = Text(verdict); });
  EXPECT_EQ(text, "401 the token is for another audience");
}

TEST_F(AuthenticatorTest, WhileTheIssuerIsAwayItsKeysGoOn) {
  Use(JwtSpec());
  ServeKeys(signer_);
  EXPECT_EQ(CheckToken(Token()), "jwt:https://issuer.example|ann");
  fetch_.AnswerAtOnce([] { return StatusOr<std::string>(Unavailable("no route")); });
  clock_.Advance(21 * 24h);
  EXPECT_EQ(CheckToken(Token()), "jwt:https://issuer.example|ann");
}

TEST_F(AuthenticatorTest, WhereKeysWereNeverHadTheTokenIsNotBlamed) {
  Use(JwtSpec());
  fetch_.AnswerAtOnce([] { return StatusOr<std::string>(Unavailable("no route")); });
  EXPECT_EQ(CheckToken(Token()), "503 the issuer's keys can't be had now; try again later");
  EXPECT_EQ(Challenge({{"Authorization", "Bearer " + Token()}}), "");
}

TEST_F(AuthenticatorTest, RequestsThatWaitForKeysAreAnsweredEvenByAnAuthenticatorThatIsGone) {
  Use(JwtSpec());
  auto good = Begin({{"Authorization", "Bearer " + Token()}});
  auto late = Begin({{"Authorization", "Bearer " + Token({{"exp", Now()}})}});
  EXPECT_FALSE(good->has_value() || late->has_value());
  authenticator_.reset();
  clock_.Advance(60s);
  fetch_.Answer(KeySetText({signer_.Jwk()}));
  ASSERT_TRUE(good->has_value() && late->has_value());
  EXPECT_EQ(Text(**good), "jwt:https://issuer.example|ann");
  EXPECT_EQ(Text(**late), "401 the token has expired") << "while it waited";
}

TEST_F(AuthenticatorTest, ExpiryGoesByTheTrustedTime) {
  WallTime trusted = clock_.Wall();
  Use(JwtSpec(), {.now = [&] { return trusted; }});
  ServeKeys(signer_);
  const std::string token = Token();
  clock_.SetWall(WallTime(0s));  // no clock battery
  EXPECT_EQ(CheckToken(token), "jwt:https://issuer.example|ann");
  trusted += 1h;
  EXPECT_EQ(CheckToken(token), "401 the token has expired");
}

TEST_F(AuthenticatorTest, CloudflareAccessIsAJwtInItsOwnHeader) {
  Use(AccessSpec());
  ServeKeys(signer_);
  const auto with = [&](const Json& claims) {
    return Check({{"Cf-Access-Jwt-Assertion", signer_.Token("ES256", AccessClaims(claims))}});
  };
  EXPECT_EQ(with(Json::object()), "access:acme|7335d417");
  EXPECT_EQ(with({{"sub", ""}}), "access:acme|ann@acme.example");
  EXPECT_EQ(with({{"sub", ""}, {"email", nullptr}, {"common_name", "c0ffee.access"}}), "access:acme|c0ffee.access");
  EXPECT_EQ(fetch_.uris().front(), "https://acme.cloudflareaccess.com/cdn-cgi/access/certs");
  EXPECT_EQ(with({{"aud", {"other"}}}), "401 the token is for another audience");
  EXPECT_EQ(with({{"aud", "https://mcp.example/a/b/mcp"}}), "401 the token is for another audience");
  EXPECT_EQ(with({{"iss", "https://evil.cloudflareaccess.com"}}), "401 the token is of another issuer");
  EXPECT_EQ(CheckToken(signer_.Token("ES256", AccessClaims())),
            "401 this server is reached through Cloudflare Access only");
  EXPECT_EQ(Check({{"Cf-Access-Jwt-Assertion", "a"}, {"cf-access-jwt-assertion", "b"}}),
            "401 the header Cf-Access-Jwt-Assertion is there twice");
}

TEST_F(AuthenticatorTest, TheKeysOfAccessMayComeFromElsewhere) {
  Use(AccessSpec(), {.access_base_url = "http://127.0.0.1:9"});
  ServeKeys(signer_);
  EXPECT_EQ(Check({{"Cf-Access-Jwt-Assertion", signer_.Token("ES256", AccessClaims())}}), "access:acme|7335d417");
  EXPECT_EQ(fetch_.uris().front(), "http://127.0.0.1:9/cdn-cgi/access/certs");
}

TEST_F(AuthenticatorTest, ManyVerifiedTokensAreForgottenNotRefused) {
  Use(JwtSpec());
  ServeKeys(signer_);
  const std::string first = Token();
  for (int i = 0; i < 600; ++i)
    EXPECT_EQ(CheckToken(Token({{"sub", std::to_string(i)}})), "jwt:https://issuer.example|" + std::to_string(i));
  EXPECT_EQ(CheckToken(first), "jwt:https://issuer.example|ann");
}

TEST(SubjectTest, TheHashTellsSubjectsApartAndIsNotTheirName) {
  EXPECT_EQ(Subject{"anonymous"}.Hash(), Sha256Hex("anonymous").substr(0, 12));
  EXPECT_NE(Subject{"bearer:a"}.Hash(), Subject{"bearer:b"}.Hash());
}

TEST(ResourceMetadataTest, ItNamesTheIssuerAndWhatATokenNeeds) {
  AuthSpec spec = JwtSpec();
  spec.scopes = {"mcp.read"};
  EXPECT_EQ(ResourceMetadata(spec, "https://mcp.example/a/b/mcp"),
            R"({"authorization_servers":["https://issuer.example"],"bearer_methods_supported":["header"],)"
            R"("resource":"https://mcp.example/a/b/mcp","scopes_supported":["mcp.read"]})");
  EXPECT_EQ(ResourceMetadata(AccessSpec(), "https://x/mcp"),
            R"({"authorization_servers":["https://acme.cloudflareaccess.com"],"bearer_methods_supported":["header"],)"
            R"("resource":"https://x/mcp"})");
  EXPECT_EQ(ResourceMetadata(BearerSpec(), "https://x/mcp"), std::nullopt);
  EXPECT_EQ(ResourceMetadata({}, "https://x/mcp"), std::nullopt);
}

}  // namespace
}  // namespace mcpfleet::gateway
