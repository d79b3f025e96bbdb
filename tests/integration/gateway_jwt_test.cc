// Tokens of an OAuth issuer, end to end: an issuer and an MCP server of the test's own, a real mcplet between them.
#include <gtest/gtest.h>

#include <unistd.h>

#include <ctime>
#include <mutex>

#include "base/base64url.h"
#include "base/digest.h"
#include "base/http/server.h"
#include "base/strings.h"
#include "tests/edge-runtime/gateway/signer.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/integration/upstream.h"

namespace mcpfleet {
namespace {

using gateway::Signer;
using std::chrono::seconds;

constexpr char kAudience[] = "api://weather";
constexpr char kIssuer[] = "https://login.example.com";

// An issuer's JWKS endpoint on loopback, which can be away.
class Issuer {
 public:
  Issuer() { Open(); }
  std::string uri() const { return "http://127.0.0.1:" + std::to_string(port_.number) + "/keys"; }
  void Publish(const std::vector<const Signer*>& signers) {
    std::vector<Json> keys;
    for (const Signer* signer : signers) keys.push_back(signer->Jwk());
    const std::lock_guard<std::mutex> lock(mu_);
    set_ = gateway::KeySetText(keys);
  }
  int fetches() {
    const std::lock_guard<std::mutex> lock(mu_);
    return fetches_;
  }
  void Close() { server_.reset(); }
  void Open() {
    http::Server::Options options;
    options.port = port_.number;
    auto server =
        http::Server::Create(options, [this](const http::Request&, const std::shared_ptr<http::Responder>& to) {
          const std::lock_guard<std::mutex> lock(mu_);
          ++fetches_;
          to->Send(http::JsonResponse(200, set_));
        });
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }

 private:
  const HeldPort port_ = HoldPort();
  std::mutex mu_;
  std::string set_ = gateway::KeySetText({});
  int fetches_ = 0;
  std::unique_ptr<http::Server> server_;  // last: its thread uses the rest
};

Json Claims(const std::string& subject = "lovelace", const Json& over = Json::object()) {
  const int64_t now = time(nullptr);
  Json claims = {{"iss", kIssuer}, {"aud", kAudience},           {"sub", subject},
                 {"iat", now},     {"exp", now + int64_t{3600}}, {"scope", "mcp.call profile"}};
  claims.merge_patch(over);
  return claims;
}

McpClient::Options Holding(const std::string& token, McpClient::Era era = McpClient::Era::kLegacy) {
  return {.era = era, .headers = {{"Authorization", "Bearer " + token}}};
}

class GatewayJwtTest : public GatewayNodeTest {
 protected:
  Json Auth(const Json& over = Json::object()) const {
    Json jwt = {{"issuer", kIssuer}, {"jwksUri", issuer_.uri()}, {"audience", kAudience}, {"scopes", {"mcp.call"}}};
    jwt.merge_patch(over);
    return {{"type", "JWT"}, {"jwt", jwt}};
  }
  Json Far(const Json& jwt = Json::object()) const {
    return {{"apiVersion", "mcpfleet.dev/v1alpha1"},
            {"kind", "MCPServer"},
            {"metadata", {{"name", "far"}}},
            {"spec", {{"source", {{"remote", {{"url", upstream_.url()}}}}}, {"auth", Auth(jwt)}}}};
  }
  // "200 ", or the status, error and description that the token is refused with, in either era the same.
  std::string Verdict(const std::string& authorization) {
    std::set<std::string> verdicts;
    for (const McpClient::Era era : {McpClient::Era::kLegacy, McpClient::Era::kModern}) {
      McpClient::Options options{.era = era};
      if (!authorization.empty()) options.headers = {{"Authorization", authorization}};
      const auto client = behind_->Client("far", options);
      const bool modern = era == McpClient::Era::kModern;
      const auto answer = modern ? client->BeginCall("echo") : client->Begin("initialize", kInitialize);
      if (answer->status() == 200 && !modern) client->Take(answer->Header("Mcp-Session-Id"));
      verdicts.insert(std::to_string(answer->status()) + " " + answer->Header("WWW-Authenticate"));
      if (answer->status() == 200 && !modern) {
        EXPECT_EQ(client->Delete(), 200);
      }
    }
    EXPECT_EQ(verdicts.size(), 1u) << "the eras differ: " << *verdicts.rbegin();
    return *verdicts.begin();
  }
  std::string VerdictOf(const std::string& token) { return Verdict("Bearer " + token); }
  bool Taken(const std::string& token) { return VerdictOf(token) == "200 "; }
  // Where it is a matter of time.
  bool BecomesTaken(const std::string& token) {
    const auto client = behind_->Client("far", Holding(token, McpClient::Era::kModern));
    return WaitFor([&] { return client->BeginCall("echo")->status() == 200; });
  }

  const Json kInitialize = {{"protocolVersion", "2025-11-25"},
                            {"capabilities", Json::object()},
                            {"clientInfo", {{"name", "jwt"}, {"version", "1"}}}};
  Issuer issuer_;
  Upstream upstream_;
};

TEST_F(GatewayJwtTest, AGoodTokenIsTakenAndNothingOfItReachesTheServer) {
  const Signer rsa("rsa", "RSA-2048"), ec("ec", "P-256"), ed("ed", "Ed25519");
  issuer_.Publish({&rsa, &ec, &ed});
  ASSERT_TRUE(behind_->Run({Far()}));
  const std::vector<std::string> tokens = {rsa.Token("RS256", Claims()), rsa.Token("PS256", Claims()),
                                           ec.Token("ES256", Claims()), ed.Token("EdDSA", Claims())};
  for (const std::string& token : tokens) {
    const auto legacy = behind_->Session("far", Holding(token));
    ASSERT_NE(legacy, nullptr);
    EXPECT_EQ(legacy->Call("echo", {{"message", "legacy-call"}}), "from far");
    EXPECT_EQ(behind_->Client("far", Holding(token, McpClient::Era::kModern))->Call("echo"), "from far");
  }
  EXPECT_EQ(issuer_.fetches(), 1) << "the keys are kept";
  const std::string seen = upstream_.Seen();
  EXPECT_NE(seen.find("legacy-call"), std::string::npos);
  EXPECT_EQ(ToLower(seen).find("authorization"), std::string::npos) << seen;
  for (const std::string& token : tokens) {
    // Neither a token nor its claims nor its signature.
    for (const std::string& part : Split(token, '.')) EXPECT_EQ(seen.find(part), std::string::npos) << part;
  }
}

TEST_F(GatewayJwtTest, ASessionBelongsToTheSubjectOfItsTokenAndNotToTheToken) {
  const Signer key("k");
  issuer_.Publish({&key});
  ASSERT_TRUE(behind_->Run({Far()}));
  const auto ada = behind_->Session("far", Holding(key.Token("ES256", Claims("lovelace"))));
  ASSERT_NE(ada, nullptr);
  const auto renewed = behind_->Client("far", Holding(key.Token("ES256", Claims("lovelace", {{"jti", "another"}}))));
  renewed->Take(ada->session());
  EXPECT_EQ(renewed->Call("echo"), "from far");
  const auto bob = behind_->Client("far", Holding(key.Token("ES256", Claims("bob"))));
  bob->Take(ada->session());
  EXPECT_EQ(GetInt(bob->Request("tools/list"), "status"), 404);
  EXPECT_EQ(bob->Listen()->status(), 404);
  EXPECT_EQ(bob->Delete(), 404);
  EXPECT_EQ(ada->Call("echo"), "from far");
}

std::string Forged(const Json& header, const Json& claims, const std::string& signature) {
  return Base64UrlEncode(DumpJson(header)) + "." + Base64UrlEncode(DumpJson(claims)) + "." + signature;
}

TEST_F(GatewayJwtTest, WhatIsNoTokenOfTheIssuerForThisServerIsRefusedAndReachesNothing) {
  const Signer key("k"), rsa("r", "RSA-2048"), thief("k"), unknown("u");
  issuer_.Publish({&key, &rsa});
  ASSERT_TRUE(behind_->Run({Far()}));
  const std::string good = key.Token("ES256", Claims());
  ASSERT_TRUE(Taken(good));
  const auto session = behind_->Session("far", Holding(good));
  ASSERT_NE(session, nullptr);
  // Requests of this test alone: what `session` opens towards its server comes when it comes.
  const auto sent_on = [&] {
    const std::string seen = upstream_.Seen();
    size_t count = 0;
    for (size_t at = 0; (at = seen.find(R"("name":"jwt")", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const size_t before = sent_on();
  const int64_t now = time(nullptr);
  const auto with = [&](const Json& over) { return key.Token("ES256", Claims("lovelace", over)); };
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"another's audience", with({{"aud", "api://other"}})},
      {"audiences of others", with({{"aud", {"api://other", "api://weather2"}}})},
      {"no audience", with({{"aud", nullptr}})},
      {"another issuer", with({{"iss", "https://login.example.com/"}})},
      {"no issuer", with({{"iss", nullptr}})},
      {"an expired one", with({{"exp", now - 61}})},
      {"no end", with({{"exp", nullptr}})},
      {"an end that is a text", with({{"exp", "9999999999"}})},
      {"one for later", with({{"nbf", now + 120}})},
      {"one of the future", with({{"iat", now + 120}})},
      {"nobody's", with({{"sub", nullptr}})},
      {"another key of the same name", thief.Token("ES256", Claims())},
      {"a key that nobody knows", unknown.Token("ES256", Claims())},
      {"an algorithm that is not the key's", rsa.Token("RS256", Claims(), {{"kid", "k"}})},
      {"alg none", Forged({{"alg", "none"}, {"kid", "k"}}, Claims(), "")},
      {"alg None with a signature", Forged({{"alg", "None"}, {"kid", "k"}}, Claims(), Split(good, '.').back())},
      {"HMAC", Forged({{"alg", "HS256"}, {"kid", "r"}}, Claims(), Base64UrlEncode(rsa.PublicDer().substr(0, 32)))},
      {"critical headers", key.Token("ES256", Claims(), {{"crit", {"exp"}}})},
      {"of another type", key.Token("ES256", Claims(), {{"typ", "logout+jwt"}})},
      {"its key in its header", thief.Token("ES256", Claims(), {{"jwk", thief.Jwk()}})},
      {"claims of another signature",
       Split(good, '.')[0] + "." + Split(with({{"sub", "root"}}), '.')[1] + "." + Split(good, '.')[2]},
      {"no signature", good.substr(0, good.rfind('.') + 1)},
      {"no JWT", "opaque-token"},
      {"one too large", with({{"pad", std::string(8192, 'x')}})}};
  for (const auto& [why, token] : bad) {
    const std::string verdict = VerdictOf(token);
    EXPECT_TRUE(verdict.starts_with("401 Bearer resource_metadata=\"")) << why << ": " << verdict;
    EXPECT_NE(verdict.find("error=\"invalid_token\", error_description=\""), std::string::npos) << why << verdict;
    EXPECT_EQ(verdict.find("lovelace"), std::string::npos) << "something of the token comes back: " << verdict;
  }
  EXPECT_TRUE(Verdict("").starts_with("401 Bearer resource_metadata=\"")) << Verdict("");
  EXPECT_EQ(Verdict("").find("error"), std::string::npos) << "who gave no token did nothing wrong: " << Verdict("");
  EXPECT_TRUE(Verdict("Basic " + good).starts_with("401 Bearer"));
  const std::string lacks = VerdictOf(with({{"scope", "mcp.calls profile"}}));
  EXPECT_TRUE(lacks.starts_with("403 Bearer resource_metadata=\"")) << lacks;
  EXPECT_NE(lacks.find("error=\"insufficient_scope\""), std::string::npos) << lacks;
  EXPECT_NE(lacks.find("scope=\"mcp.call\""), std::string::npos) << lacks;
  EXPECT_EQ(sent_on(), before) << "something was sent on";
  EXPECT_EQ(session->Call("echo"), "from far");
}

TEST_F(GatewayJwtTest, TheRefusalLeadsToTheMetadataAndTheIssuerAndItsResourceIsTheAudience) {
  const Signer key("k");
  issuer_.Publish({&key});
  ASSERT_TRUE(behind_->Run({Far({{"audience", nullptr}})}));
  const std::string verdict = Verdict("");
  const size_t at = verdict.find("resource_metadata=\"") + 19;
  const std::string where = verdict.substr(at, verdict.find('"', at) - at);
  ASSERT_TRUE(where.starts_with(BaseOf(node_->GatewayUrl("far")))) << verdict;
  const http::Response answer = Ask(where, {.target = where.substr(BaseOf(where).size())});
  EXPECT_EQ(answer.status, 200);
  const Json metadata = ParseJson(answer.body).value_or(Json());
  EXPECT_EQ(GetString(metadata, "resource"), node_->GatewayUrl("far")) << answer.body;
  EXPECT_EQ(GetMember(metadata, "authorization_servers"), Json::array({kIssuer}));
  EXPECT_EQ(GetMember(metadata, "scopes_supported"), Json::array({"mcp.call"}));
  EXPECT_TRUE(Taken(key.Token("ES256", Claims("lovelace", {{"aud", GetString(metadata, "resource")}}))));
  EXPECT_TRUE(VerdictOf(key.Token("ES256", Claims())).starts_with("401 ")) << "an audience of somewhere else";
  EXPECT_TRUE(upstream_.Seen().find("tools/call") != std::string::npos);
}

TEST_F(GatewayJwtTest, ATokenThatExpiresInTheMiddleOfASessionIsNotTakenAnyMore) {
  const Signer key("k");
  issuer_.Publish({&key});
  ASSERT_TRUE(behind_->Run({Far()}));
  // 60 s are for clocks that differ.
  const auto client =
      behind_->Session("far", Holding(key.Token("ES256", Claims("lovelace", {{"exp", time(nullptr) - 54}}))));
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->Call("echo"), "from far");
  EXPECT_TRUE(WaitFor([&] { return GetInt(client->Request("tools/list"), "status") == 401; }, seconds(20)));
  const auto renewed = behind_->Client("far", Holding(key.Token("ES256", Claims("lovelace"))));
  renewed->Take(client->session());
  EXPECT_EQ(renewed->Call("echo"), "from far") << "the session waits for a new token";
}

TEST_F(GatewayJwtTest, ANewKeyIsLookedForAndAWithdrawnOneIsGoneWithTheSameLook) {
  const Signer old("old"), fresh("fresh");
  issuer_.Publish({&old});
  ASSERT_TRUE(behind_->Run({Far()}));
  const std::string olds = old.Token("ES256", Claims()), news = fresh.Token("ES256", Claims());
  ASSERT_TRUE(Taken(olds));
  issuer_.Publish({&fresh});
  // At most one look in 30 s; until then the key is unknown, as it would be to anybody.
  EXPECT_TRUE(BecomesTaken(news));
  EXPECT_TRUE(VerdictOf(olds).starts_with("401 ")) << "verified once, withdrawn now";
  EXPECT_LE(issuer_.fetches(), 4) << "a client can make the gateway ask the issuer";
}

TEST_F(GatewayJwtTest, WhenTheIssuerIsAwayItsLastKeysAreUsedAlsoByTheNextMcplet) {
  const Signer key("k"), other("other");
  issuer_.Publish({&key});
  ASSERT_TRUE(behind_->Run({Far()}));
  ASSERT_TRUE(Taken(key.Token("ES256", Claims())));
  issuer_.Close();
  EXPECT_TRUE(Taken(key.Token("ES256", Claims("bob"))));
  const std::string kept = node_->state() + "/gateway/keys/" + Sha256Hex(issuer_.uri()) + ".json";
  ASSERT_TRUE(WaitFor([&] { return access(kept.c_str(), F_OK) == 0; })) << kept;
  for (const bool kill9 : {true, false}) {
    if (kill9) node_->KillDash9();
    if (!kill9) {
      EXPECT_EQ(node_->Terminate(), 0);
    }
    node_->Start();
    ASSERT_TRUE(behind_->Open("far"));
    EXPECT_TRUE(Taken(key.Token("ES256", Claims("carol"))));
    EXPECT_TRUE(VerdictOf(other.Token("ES256", Claims())).starts_with("401 "));
  }
  issuer_.Publish({&other});
  issuer_.Open();
  EXPECT_TRUE(BecomesTaken(other.Token("ES256", Claims())));
}

TEST_F(GatewayJwtTest, WithoutAnyKeysNobodyIsJudged) {
  const Signer key("k");
  issuer_.Close();
  ASSERT_TRUE(behind_->Run({Far()}));
  const auto client = behind_->Client("far", Holding(key.Token("ES256", Claims())));
  const auto answer = client->Begin("initialize", kInitialize);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_GT(std::atoi(answer->Header("Retry-After").c_str()), 0);
  EXPECT_EQ(answer->Header("WWW-Authenticate"), "");
  EXPECT_TRUE(IsError(answer->Next()));
  EXPECT_TRUE(VerdictOf(key.Token("ES256", Claims("lovelace", {{"aud", "api://other"}}))).starts_with("401 "));
  issuer_.Publish({&key});
  issuer_.Open();
  EXPECT_TRUE(BecomesTaken(key.Token("ES256", Claims())));
}

}  // namespace
}  // namespace mcpfleet
