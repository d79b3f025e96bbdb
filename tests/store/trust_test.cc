#include "store/trust/trust.h"

#include <functional>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "store/trust/ed25519.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

// RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
struct Vector {
  const char *seed, *public_key, *message, *signature;
};
constexpr Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55"
     "141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d"
     "291612bb0c00"},
};

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

TEST(Ed25519Test, TheVectorsOfRfc8032) {
  for (const Vector& each : kVectors) {
    const auto key = SigningKey::FromSeed(Base64UrlEncode(Unhex(each.seed)));
    ASSERT_OK(key);
    EXPECT_EQ(key->public_key(), Base64UrlEncode(Unhex(each.public_key)));
    const std::string message = Unhex(each.message), signature = Base64UrlEncode(Unhex(each.signature));
    EXPECT_EQ(key->Sign(message), signature);
    EXPECT_TRUE(VerifySignature(key->public_key(), message, signature));
    EXPECT_FALSE(VerifySignature(key->public_key(), message + "x", signature));
    EXPECT_FALSE(VerifySignature(SigningKey::Create().public_key(), message, signature));
  }
}

TEST(Ed25519Test, WhatIsNoKeyAndNoSignatureVerifiesNothing) {
  const SigningKey key = SigningKey::Create();
  const std::string signature = key.Sign("text");
  EXPECT_TRUE(VerifySignature(key.public_key(), "text", signature));
  for (const std::string& wrong : {std::string(), std::string("x"), signature + "A", signature.substr(1)})
    EXPECT_FALSE(VerifySignature(key.public_key(), "text", wrong)) << wrong;
  EXPECT_FALSE(VerifySignature("", "text", signature));
  EXPECT_FALSE(VerifySignature(signature, "text", signature));
  EXPECT_FALSE(SigningKey::FromSeed("short").ok());
  const auto again = SigningKey::FromSeed(key.Seed());
  ASSERT_OK(again);
  EXPECT_EQ(again->public_key(), key.public_key());
}

class TrustTest : public ::testing::Test {
 protected:
  static Signers Of(const std::vector<const SigningKey*>& keys, int64_t threshold = 1) {
    Signers signers{.threshold = threshold};
    for (const SigningKey* key : keys) signers.keys.push_back(key->public_key());
    return signers;
  }
  TrustDocument Document(int64_t version, const Signers& roots, const std::vector<const SigningKey*>& by) const {
    TrustDocument document{.fleet = "f", .version = version, .roots = roots, .heads = Of({&head_})};
    for (const SigningKey* key : by)
      AddSignature(&document.signatures, key->public_key(), key->Sign(SignedText(document)));
    return document;
  }
  const SigningKey a_ = SigningKey::Create(), b_ = SigningKey::Create(), c_ = SigningKey::Create(),
                   head_ = SigningKey::Create();
};

TEST_F(TrustTest, ADocumentComesBackAsItWasWritten) {
  TrustDocument document = Document(1, Of({&a_, &b_}, 2), {&a_, &b_});
  document.expires = "2027-01-01T00:00:00Z";
  const auto bytes = EncodeTrust(document);
  ASSERT_OK(bytes);
  const auto read = ParseTrust(*bytes);
  ASSERT_OK(read);
  EXPECT_EQ(SignedText(*read), SignedText(document));
  EXPECT_EQ(read->signatures, document.signatures);
}

TEST_F(TrustTest, DocumentsThatNobodyCouldFollowAreRefused) {
  const TrustDocument good = Document(1, Of({&a_}), {&a_});
  ASSERT_OK(EncodeTrust(good));
  const auto refused = [&good](const std::function<void(TrustDocument*)>& spoil) {
    TrustDocument bad = good;
    spoil(&bad);
    return !EncodeTrust(bad).ok();
  };
  EXPECT_TRUE(refused([](TrustDocument* d) { d->fleet = ""; }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->version = 0; }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->roots.keys.clear(); }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->heads.keys.push_back(d->heads.keys[0]); }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->heads.threshold = 2; }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->heads.threshold = 0; }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->heads.keys[0] = "key"; }));
  EXPECT_TRUE(refused([](TrustDocument* d) { d->expires = "tomorrow"; }));
  EXPECT_TRUE(refused([](TrustDocument* d) {
    for (size_t i = 0; i <= kMaxTrustKeys; ++i) d->roots.keys.push_back(SigningKey::Create().public_key());
  }));
  EXPECT_FALSE(ParseTrust(std::string(kTrustBytes + 1, ' ')).ok());
  EXPECT_FALSE(ParseTrust("[]").ok());
}

TEST_F(TrustTest, TheFirstIsNamedByItsFingerprint) {
  const TrustDocument first = Document(1, Of({&a_}), {&a_});
  EXPECT_OK(CheckSuccession(nullptr, first, Fingerprint(first)));
  EXPECT_FALSE(CheckSuccession(nullptr, first, Fingerprint(Document(1, Of({&b_}), {&b_}))).ok());
  EXPECT_FALSE(CheckSuccession(nullptr, Document(1, Of({&a_}), {}), Fingerprint(first)).ok());
  const TrustDocument second = Document(2, Of({&a_}), {&a_});
  EXPECT_FALSE(CheckSuccession(nullptr, second, Fingerprint(second)).ok());
}

TEST_F(TrustTest, ASuccessorNeedsRootsOfBoth) {
  const TrustDocument first = Document(1, Of({&a_, &b_}, 2), {&a_, &b_});
  EXPECT_OK(CheckSuccession(&first, Document(2, Of({&b_, &c_}, 2), {&a_, &b_, &c_}), ""));
  // By one root too few of the one before, of its own, and by strangers.
  EXPECT_FALSE(CheckSuccession(&first, Document(2, Of({&b_, &c_}, 2), {&b_, &c_}), "").ok());
  EXPECT_FALSE(CheckSuccession(&first, Document(2, Of({&b_, &c_}, 2), {&a_, &b_}), "").ok());
  EXPECT_FALSE(CheckSuccession(&first, Document(2, Of({&c_}), {&c_}), "").ok());
  EXPECT_FALSE(CheckSuccession(&first, Document(3, Of({&a_}), {&a_, &b_}), "").ok());
  TrustDocument foreign = Document(2, Of({&a_}), {});
  foreign.fleet = "other";
  for (const SigningKey* key : {&a_, &b_})
    AddSignature(&foreign.signatures, key->public_key(), key->Sign(SignedText(foreign)));
  EXPECT_FALSE(CheckSuccession(&first, foreign, "").ok());
}

TEST_F(TrustTest, OneKeyThatSignsTwiceIsOneSigner) {
  Json signatures = Json::array();
  const std::string signature = a_.Sign("text");
  for (int i = 0; i < 3; ++i) signatures.push_back({{"key", a_.public_key()}, {"signature", signature}});
  EXPECT_EQ(CountSigners(signatures, Of({&a_, &b_}, 2), "text"), 1);
  const Status few = CheckSigners(signatures, Of({&a_, &b_}, 2), "text", "head");
  EXPECT_EQ(few.code(), StatusCode::kPermissionDenied);
  EXPECT_NE(Message(few).find(b_.public_key()), std::string::npos) << Message(few);
  // A signature over something else, or under another's name.
  signatures = Json::array();
  AddSignature(&signatures, a_.public_key(), a_.Sign("other"));
  AddSignature(&signatures, b_.public_key(), a_.Sign("text"));
  EXPECT_EQ(CountSigners(signatures, Of({&a_, &b_}), "text"), 0);
}

}  // namespace
}  // namespace mcpfleet
