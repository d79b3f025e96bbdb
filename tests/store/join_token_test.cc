#include "store/join_token.h"

#include <set>
#include <thread>

#include <sys/stat.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/trust/hmac.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

constexpr char kSecret[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";  // bytes 0 to 31
constexpr char kSigning[] = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
constexpr char kSealing[] = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

JoinToken Token() {
  return {.id = std::string(32, 'a'),
          .secret = kSecret,
          .fleet = std::string(32, 'b'),
          .fingerprint = std::string(64, 'c'),
          .minimum = {1, 2, 30}};
}

TEST(HmacTest, TheVectorOfRfc4231) {
  EXPECT_EQ(HmacSha256Hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(JoinTokenTest, WhatIsFormattedIsParsedBack) {
  JoinToken token = Token();
  EXPECT_EQ(FormatJoinToken(token),
            std::string(32, 'a') + "." + kSecret + "." + std::string(32, 'b') + "." + std::string(64, 'c') + ".1.2.30");
  EXPECT_EQ(*ParseJoinToken(FormatJoinToken(token)), token);
  EXPECT_EQ(*ParseJoinToken("  " + FormatJoinToken(token) + "\r\n"), token);
  token.fingerprint.clear();
  token.minimum = {0, 1, 1};
  EXPECT_TRUE(FormatJoinToken(token).ends_with("..0.1.1"));
  EXPECT_EQ(*ParseJoinToken(FormatJoinToken(token)), token);
}

TEST(JoinTokenTest, WhatIsNoTokenIsRefusedWithoutBeingRepeated) {
  const std::string good = FormatJoinToken(Token());
  std::vector<std::string> wrong{"",
                                 "x",
                                 good + ".1",
                                 good + "0000000000000000",
                                 good.substr(0, good.size() - 3),
                                 "a" + good,
                                 good.substr(1),
                                 good + " " + good,
                                 std::string(100'000, '.'),
                                 good.substr(0, 33) + "!" + good.substr(34),
                                 good.substr(0, good.size() - 2) + "030"};
  std::string upper = good;
  upper[0] = 'A';
  wrong.push_back(upper);
  for (const std::string& text : wrong) {
    const auto parsed = ParseJoinToken(text);
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument) << text.substr(0, 200);
    EXPECT_EQ(Message(parsed.status()).find(std::string(kSecret).substr(1, 20)), std::string::npos);
  }
}

TEST(JoinTokenTest, IdsAndSecretsAreNewEachTimeAndOfTheRightForm) {
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    JoinToken token = Token();
    token.id = NewJoinId();
    token.secret = NewJoinSecret();
    EXPECT_TRUE(seen.insert(token.id).second && seen.insert(token.secret).second);
    EXPECT_EQ(*ParseJoinToken(FormatJoinToken(token)), token);
  }
}

TEST(JoinTokenTest, TheMacIsOverTheNameAndTheKeys) {
  // Computed by Python's hmac over the text that the header gives.
  const std::string mac = "f7d24bb7c21810a6db6ba20a9805546fdb76bc19e50c91d59197a34f43ef6de9";
  EXPECT_EQ(JoinMac(kSecret, "edge-01", {kSigning, kSealing}), mac);
  const Presented good{"edge-01", {kSigning, kSealing}, mac};
  EXPECT_TRUE(ProvesSecret(good, kSecret));
  EXPECT_FALSE(ProvesSecret({"edge-02", good.keys, mac}, kSecret));
  EXPECT_FALSE(ProvesSecret({"edge-01", {kSealing, kSigning}, mac}, kSecret));
  EXPECT_FALSE(ProvesSecret({"edge-01", {kSigning, kSigning}, mac}, kSecret));
  EXPECT_FALSE(ProvesSecret(good, NewJoinSecret()));
  EXPECT_FALSE(ProvesSecret({"edge-01", good.keys, std::string(64, '0')}, kSecret));
  // What is no secret proves nothing, and nobody's empty MAC is right.
  EXPECT_EQ(JoinMac("short", "edge-01", good.keys), "");
  EXPECT_FALSE(ProvesSecret({"edge-01", good.keys, ""}, "short"));
}

TEST(JoinTokenTest, WhatIsPresentedGoesOverTheWireInTheWorkersForm) {
  const Presented presented{"edge-01", {kSigning, kSealing}, std::string(64, 'd')};
  const Json json = ToJson(presented);
  EXPECT_EQ(json["keys"]["signing"], "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
  const auto back = PresentedFromJson(json);
  ASSERT_OK(back);
  EXPECT_EQ(back->node, presented.node);
  EXPECT_EQ(back->keys, presented.keys);
  EXPECT_EQ(back->mac, presented.mac);
  for (const auto& [member, value] : std::vector<std::pair<std::string, Json>>{
           {"node", "Edge 1"}, {"mac", "00"}, {"keys", nullptr}, {"keys", {{"signing", kSigning}, {"sealing", ""}}}}) {
    Json wrong = json;
    wrong[member] = value;
    EXPECT_FALSE(PresentedFromJson(wrong).ok()) << member;
  }
  EXPECT_FALSE(PresentedFromJson(nullptr).ok());
}

class NodeKeysTest : public ::testing::Test {
 protected:
  int ModeOf(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 07777) : -1;
  }
  TempDir dir_;
  const std::string identity_ = IdentityDirectory(dir_.path());
};

TEST_F(NodeKeysTest, AreMadeOnceAndForNobodyElse) {
  const auto made = NodeKeys::LoadOrCreate(identity_);
  ASSERT_OK(made);
  EXPECT_EQ(ModeOf(identity_), 0700);
  for (const char* file : {kSigningKeyFile, kSealingKeyFile}) {
    EXPECT_EQ(ModeOf(identity_ + "/" + file), 0600);
    EXPECT_EQ(ReadFile(identity_ + "/" + file, 100)->size(), 44u);
  }
  const auto again = NodeKeys::LoadOrCreate(identity_);
  ASSERT_OK(again);
  EXPECT_EQ(again->Public(), made->Public());
  EXPECT_TRUE(VerifySignature(made->Public().signing, "text", again->signing().Sign("text")));
  const auto sealed = Seal(made->Public().sealing, "secret");
  ASSERT_OK(sealed);
  EXPECT_EQ(*again->sealing().Open(*sealed), "secret");
}

TEST_F(NodeKeysTest, TheOneThatIsMissingIsMadeAndTheOtherStays) {
  const NodePublicKeys before = NodeKeys::LoadOrCreate(identity_)->Public();
  ASSERT_EQ(unlink((identity_ + "/" + kSealingKeyFile).c_str()), 0);
  const NodePublicKeys after = NodeKeys::LoadOrCreate(identity_)->Public();
  EXPECT_EQ(after.signing, before.signing);
  EXPECT_NE(after.sealing, before.sealing);
}

TEST_F(NodeKeysTest, RenewedOnesAreOthers) {
  const NodePublicKeys before = NodeKeys::LoadOrCreate(identity_)->Public();
  const auto renewed = NodeKeys::Renew(identity_);
  ASSERT_OK(renewed);
  EXPECT_NE(renewed->Public().signing, before.signing);
  EXPECT_NE(renewed->Public().sealing, before.sealing);
  EXPECT_EQ(NodeKeys::LoadOrCreate(identity_)->Public(), renewed->Public());
}

TEST_F(NodeKeysTest, ADamagedOrOpenFileIsAnErrorThatNamesItAndIsNotReplaced) {
  ASSERT_OK(NodeKeys::LoadOrCreate(identity_));
  const std::string path = identity_ + "/" + kSigningKeyFile;
  for (const std::string& content : {std::string("no key\n"), std::string("\n"), std::string(1000, 'a')}) {
    ASSERT_OK(WriteFileAtomically(path, content, 0600));
    const Status loaded = NodeKeys::LoadOrCreate(identity_).status();
    EXPECT_FALSE(loaded.ok());
    EXPECT_NE(Message(loaded).find(path), std::string::npos) << loaded;
    EXPECT_EQ(*ReadFile(path, 2000), content);
  }
  ASSERT_OK(WriteFileAtomically(path, SigningKey::Create().Seed() + "\n", 0640));
  const Status open = NodeKeys::LoadOrCreate(identity_).status();
  EXPECT_EQ(open.code(), StatusCode::kPermissionDenied);
  EXPECT_NE(Message(open).find("chmod 600"), std::string::npos);
}

TEST_F(NodeKeysTest, WhoComeAtOnceGetTheSameKeys) {
  std::vector<NodePublicKeys> found(8);
  std::vector<std::thread> threads;
  for (NodePublicKeys& each : found)
    threads.emplace_back([&each, this] { each = NodeKeys::LoadOrCreate(identity_)->Public(); });
  for (std::thread& thread : threads) thread.join();
  for (const NodePublicKeys& each : found) EXPECT_EQ(each, found.front());
}

TEST_F(NodeKeysTest, StandInTheMcpNodeOnceTheyArePublished) {
  Object node = Node("edge-01", {{"site", "berlin"}});
  EXPECT_FALSE(PublishedKeys(node).has_value());
  PublishKeys({kSigning, kSealing}, &node);
  EXPECT_EQ(PublishedKeys(node), (NodePublicKeys{kSigning, kSealing}));
  node.spec["keys"]["sealing"] = "none";
  EXPECT_FALSE(PublishedKeys(node).has_value());
}

}  // namespace
}  // namespace mcpfleet
