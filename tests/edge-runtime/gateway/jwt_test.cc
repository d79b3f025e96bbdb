#include "edge-runtime/gateway/jwt.h"

#include <openssl/err.h>
#include <openssl/hmac.h>

#include <gtest/gtest.h>

#include "tests/edge-runtime/gateway/signer.h"

namespace mcpfleet::gateway {
namespace {

constexpr int64_t kNow = 1'790'000'000;
WallTime At(int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

KeySet MustParse(const std::string& text) {
  StatusOr<KeySet> keys = ParseKeySet(text);
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys.ok() ? *std::move(keys) : KeySet();
}
KeySet SetOf(const Signer& signer) { return MustParse(KeySetText({signer.Jwk()})); }

Json Claims() {
  return {{"iss", "https://issuer.example"}, {"aud", "https://mcp.example/a/b/mcp"}, {"exp", kNow + 300}, {"sub", "u"}};
}
const JwtRules kRules{"https://issuer.example", {"https://mcp.example/a/b/mcp", "http://127.0.0.1:8700/a/b/mcp"}};

// What a token is refused for, "" when its form and signature are good.
std::string Judge(const std::string& token, const KeySet& keys) {
  StatusOr<Jwt> jwt = ParseJwt(token);
  if (!jwt.ok()) return Message(jwt.status());
  return Message(CheckSignature(*jwt, keys));
}
std::string JudgeClaims(const std::string& name, const Json& value, int64_t now = kNow) {
  Json claims = Claims();
  claims[name] = value;
  if (value.is_null()) claims.erase(name);
  return Message(CheckClaims(claims, kRules, At(now)));
}

bool Verifies(const Json& jwk, JwtAlg alg, std::string_view text, std::string_view signature) {
  StatusOr<PublicKey> key = PublicKey::FromJwk(jwk);
  EXPECT_TRUE(key.ok()) << key.status();
  return key.ok() && key->Fits(alg) && key->Verify(alg, text, *Base64UrlDecode(signature));
}

TEST(Base64UrlTest, BytesHaveExactlyOneSpelling) {
  for (const char* bytes : {"", "f", "fo", "foo", "foob", "fooba", "\xff\xfe\xfd"})
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(bytes)), bytes);
  EXPECT_EQ(Base64UrlEncode("\xff\xfe\xfd\xfc"), "__79_A");
  for (const char* bad : {"a", "Zh", "Zm9=", "Zg==", "Z g", "Zm9v\n", "+/+/", "Zm9vYmF"})
    EXPECT_EQ(Base64UrlDecode(bad), std::nullopt) << bad;
}

TEST(JwtTest, TheExamplesOfTheStandardsVerify) {
  // RFC 7515 A.2, RS256.
  const std::string payload =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  const Json rsa = {
      {"kty", "RSA"},
      {"n",
       "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-"
       "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
       "KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
       "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
      {"e", "AQAB"}};
  EXPECT_TRUE(Verifies(
      rsa, JwtAlg::kRs256, "eyJhbGciOiJSUzI1NiJ9." + payload,
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU"
      "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d"
      "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
      "cN_IoypGlUPQGe77Rw"));
  // RFC 7515 A.3, ES256.
  const Json ec = {{"kty", "EC"},
                   {"crv", "P-256"},
                   {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                   {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}};
  EXPECT_TRUE(Verifies(ec, JwtAlg::kEs256, "eyJhbGciOiJFUzI1NiJ9." + payload,
                       "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
  // RFC 8037 A.4, Ed25519.
  const Json ed = {{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}};
  EXPECT_TRUE(Verifies(ed, JwtAlg::kEdDsa, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                       "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
}

TEST(JwtTest, EachAlgorithmVerifiesWithItsKeyAndNoChangedByte) {
  const Signer rsa("r", "RSA-2048"), p256("a", "P-256"), p384("b", "P-384"), ed("e", "Ed25519");
  const std::vector<std::pair<std::string, const Signer*>> cases = {{"RS256", &rsa}, {"RS384", &rsa},  {"RS512", &rsa},
                                                                    {"PS256", &rsa}, {"ES256", &p256}, {"ES384", &p384},
                                                                    {"EdDSA", &ed}};
  const KeySet keys = MustParse(KeySetText({rsa.Jwk(), p256.Jwk(), p384.Jwk(), ed.Jwk()}));
  for (const auto& [alg, signer] : cases) {
    const std::string token = signer->Token(alg, Claims());
    EXPECT_EQ(Judge(token, keys), "") << alg;
    std::string forged = token;
    const size_t dot = forged.find('.');
    forged[dot + 5] = forged[dot + 5] == 'A' ? 'B' : 'A';
    EXPECT_NE(Judge(forged, keys), "") << alg;
    forged = token;
    forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
    EXPECT_EQ(Judge(forged, keys), "the signature of the token is wrong") << alg;
    EXPECT_EQ(Judge(token.substr(0, token.rfind('.') + 1), keys), "the signature of the token is wrong") << alg;
  }
  EXPECT_EQ(ERR_peek_error(), 0u) << "what TLS on the same thread would find";
}

TEST(JwtTest, AnEcdsaSignatureInDerIsNone) {
  const Signer signer("k");
  const KeySet keys = SetOf(signer);
  std::string token = signer.Token("ES256", Claims());
  const std::string raw = *Base64UrlDecode(token.substr(token.rfind('.') + 1));
  ASSERT_EQ(raw.size(), 64u);
  token.resize(token.rfind('.') + 1);
  EXPECT_NE(Judge(token + Base64UrlEncode("0E\x02\x20" + raw), keys), "");
  EXPECT_NE(Judge(token + Base64UrlEncode(std::string(64, '\0')), keys), "");
}

TEST(JwtTest, APublicKeyIsNeverTheSecretOfAnHmac) {
  const Signer rsa("r", "RSA-2048");
  const KeySet keys = SetOf(rsa);
  for (const std::string alg : {"HS256", "HS384", "none", "None", "nOnE", "", "RSA1_5", "ES512", "rs256"}) {
    const Json header = {{"alg", alg}, {"kid", "r"}};
    const std::string text = Base64UrlEncode(DumpJson(header)) + "." + Base64UrlEncode(DumpJson(Claims()));
    const std::string secret = rsa.PublicDer();
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
    const std::string signature(reinterpret_cast<char*>(mac), size);
    for (const std::string& end : {Base64UrlEncode(signature), std::string()})
      EXPECT_TRUE(Judge(text + "." + end, keys).starts_with("alg of the token is not allowed")) << alg;
  }
}

TEST(JwtTest, AKeyIsUsedForItsOwnAlgorithmOnly) {
  const Signer rsa("k", "RSA-2048"), p384("k", "P-384");
  Json jwk = rsa.Jwk();
  jwk["alg"] = "RS256";
  const KeySet keys = MustParse(KeySetText({jwk}));
  EXPECT_EQ(Judge(rsa.Token("RS256", Claims()), keys), "");
  EXPECT_EQ(Judge(rsa.Token("PS256", Claims()), keys), "the token is signed with a key that the issuer does not have");
  EXPECT_NE(Judge(p384.Token("ES384", Claims()), keys), "");
}

TEST(JwtTest, TheKeyIsFoundByItsNameAndWithoutANameByItsKind) {
  const Signer one("one"), two("two"), other("three");
  const KeySet keys = MustParse(KeySetText({one.Jwk(), two.Jwk()}));
  EXPECT_EQ(Judge(two.Token("ES256", Claims()), keys), "");
  EXPECT_EQ(Judge(two.Token("ES256", Claims(), {{"kid", "one"}}), keys), "the signature of the token is wrong");
  EXPECT_EQ(Judge(two.Token("ES256", Claims(), {{"kid", ""}}), keys), "");
  StatusOr<Jwt> unknown = ParseJwt(other.Token("ES256", Claims()));
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(CheckSignature(*unknown, keys).code(), StatusCode::kNotFound);
}

TEST(JwtTest, AHeaderThatAsksForMoreThanASignatureIsRefused) {
  const Signer signer("k");
  const KeySet keys = SetOf(signer);
  const auto with = [&](const Json& header) { return Judge(signer.Token("ES256", Claims(), header), keys); };
  EXPECT_TRUE(with({{"crit", {"exp"}}}).starts_with("crit"));
  EXPECT_TRUE(with({{"crit", Json::array()}}).starts_with("crit"));
  for (const char* typ : {"JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"}) EXPECT_EQ(with({{"typ", typ}}), "");
  for (const Json& typ : {Json("dpop+jwt"), Json("logout+jwt"), Json("JOSE"), Json(7), Json("")})
    EXPECT_EQ(with({{"typ", typ}}), "typ of the token is not that of an access token") << typ;
  EXPECT_EQ(with({{"kid", 5}}), "kid of the token is no string");
  EXPECT_EQ(with({{"jku", "https://evil.example/keys"}}), "") << "it is not read";
}

TEST(JwtTest, WhatIsNoJwtIsRefusedBeforeAnythingElse) {
  const Signer signer("k");
  const std::string good = signer.Token("ES256", Claims());
  const size_t first = good.find('.'), second = good.rfind('.');
  const std::string header = good.substr(0, first), rest = good.substr(first);
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), good.substr(0, second), good + ".",
        good + "=", good + "\n", " " + good, header + "=" + rest, header + "A" + rest, std::string(9000, 'a'),
        Base64UrlEncode("[]") + rest, Base64UrlEncode("{\"alg\":\"ES256\",\"alg\":\"RS256\"}") + rest,
        Base64UrlEncode("{\"alg\":\"ES256\"}{") + rest, Base64UrlEncode("{\"alg\":\"ES256\",\"x\":\"\xff\"}") + rest,
        header + "." + Base64UrlEncode("7") + good.substr(second)}) {
    StatusOr<Jwt> jwt = ParseJwt(bad);
    EXPECT_EQ(jwt.status().code(), StatusCode::kUnauthenticated) << bad.substr(0, 100);
    EXPECT_EQ(Message(jwt.status()).find_first_of("\"\\\n"), std::string::npos) << "not fit for error_description";
  }
  std::string padded = good;
  padded += std::string(kMaxTokenBytes - good.size() + 1, 'A');
  EXPECT_EQ(Message(ParseJwt(padded).status()), "the token is larger than 8192 bytes");
}

TEST(JwtTest, TheTimesHaveAMinuteOfLeewayAndNotASecondMore) {
  EXPECT_EQ(JudgeClaims("exp", kNow - 59), "");
  EXPECT_EQ(JudgeClaims("exp", kNow - 59.5), "");
  EXPECT_EQ(JudgeClaims("exp", kNow - 60), "the token has expired");
  EXPECT_EQ(JudgeClaims("exp", 0), "the token has expired");
  EXPECT_EQ(JudgeClaims("exp", -1e300), "the token has expired");
  EXPECT_EQ(JudgeClaims("exp", nullptr), "the token has no exp");
  EXPECT_EQ(JudgeClaims("exp", "2030-01-01"), "exp, nbf or iat of the token is no number");
  EXPECT_EQ(JudgeClaims("exp", UINT64_MAX), "");
  for (const char* name : {"nbf", "iat"}) {
    EXPECT_EQ(JudgeClaims(name, kNow + 60), "") << name;
    EXPECT_EQ(JudgeClaims(name, kNow + 61), "the token is not valid yet") << name;
    EXPECT_EQ(JudgeClaims(name, kNow - 10'000'000), "") << name;
    EXPECT_EQ(JudgeClaims(name, Json::array()), "exp, nbf or iat of the token is no number") << name;
  }
}

TEST(JwtTest, IssuerAndAudienceAreExact) {
  EXPECT_EQ(JudgeClaims("x", 1), "");
  for (const Json& iss : {Json("https://issuer.example/"), Json("HTTPS://issuer.example"), Json(nullptr), Json(1)})
    EXPECT_EQ(JudgeClaims("iss", iss), "the token is of another issuer") << iss;
  EXPECT_EQ(JudgeClaims("aud", {"https://other.example", "http://127.0.0.1:8700/a/b/mcp"}), "");
  for (const Json& aud : {Json("https://mcp.example/a/c/mcp"), Json("https://mcp.example/a/b/mcp/"), Json::array(),
                          Json(nullptr), Json({{"a", "https://mcp.example/a/b/mcp"}}), Json::array({1, nullptr})})
    EXPECT_EQ(JudgeClaims("aud", aud), "the token is for another audience") << aud;
  Json empty = Claims();
  empty["iss"] = "";
  EXPECT_FALSE(CheckClaims(empty, {"", kRules.audiences}, At(kNow)).ok()) << "no issuer takes nobody's tokens";
  EXPECT_FALSE(CheckClaims(Claims(), {kRules.issuer, {}}, At(kNow)).ok());
}

TEST(JwtTest, ScopesAreFoundHoweverTheIssuerWritesThem) {
  EXPECT_EQ(ScopesOf({{"scope", " a  b "}}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ScopesOf({{"scp", {"a", 1, "b"}}}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ScopesOf({{"scp", "a b"}}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ScopesOf({{"scope", 7}}), std::vector<std::string>{});
}

TEST(KeySetTest, WeakAndForeignKeysAreLeftOut) {
  const Signer good("good"), weak("weak", "RSA-1024"), rsa("rsa", "RSA-2048");
  Json encryption = rsa.Jwk(), operations = rsa.Jwk(), tiny = rsa.Jwk(), even = rsa.Jwk(), off_curve = good.Jwk(),
       short_x = good.Jwk(), other_alg = good.Jwk();
  encryption["use"] = "enc";
  operations["key_ops"] = {"encrypt"};
  tiny["e"] = "AQ";
  even["e"] = "Ag";
  off_curve["y"] = off_curve["x"];
  short_x["x"] = Base64UrlEncode("short");
  other_alg["alg"] = "HS256";
  const std::vector<Json> bad = {
      weak.Jwk(),
      encryption,
      operations,
      tiny,
      even,
      off_curve,
      short_x,
      other_alg,
      Json({{"kty", "oct"}, {"k", "c2VjcmV0"}}),
      Json({{"kty", "EC"}, {"crv", "secp256k1"}, {"x", "AA"}, {"y", "AA"}}),
      Json({{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", "AA"}}),
      Json({{"kty", "RSA"}, {"n", Base64UrlEncode(std::string(1025, '\x7f'))}, {"e", "AQAB"}}),
      Json("key"),
      Json(nullptr)};
  for (const Json& jwk : bad) {
    EXPECT_EQ(ParseKeySet(KeySetText({jwk})).status().code(), StatusCode::kInvalidArgument) << jwk;
    EXPECT_EQ(MustParse(KeySetText({jwk, good.Jwk()})).keys.size(), 1u) << jwk;
  }
  EXPECT_EQ(Message(ParseKeySet(KeySetText({weak.Jwk()})).status()),
            "key set: no key that can be used: key: RSA of less than 2048 bits is not allowed");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(KeySetTest, WhatIsNoKeySetOrTooLargeIsRefused) {
  const Signer signer("k");
  for (const std::string bad : {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "<html>"})
    EXPECT_FALSE(ParseKeySet(bad).ok()) << bad;
  EXPECT_EQ(MustParse(KeySetText(std::vector<Json>(64, signer.Jwk()))).keys.size(), 64u);
  EXPECT_FALSE(ParseKeySet(KeySetText(std::vector<Json>(65, signer.Jwk()))).ok());
  const std::string large = KeySetText({signer.Jwk()}) + std::string(kMaxKeySetBytes, ' ');
  EXPECT_EQ(ParseKeySet(large).status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mcpfleet::gateway
