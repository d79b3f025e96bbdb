#include "store/trust/sealed_secret.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/base64url.h"
#include "crd/codec.h"

namespace mcpfleet {
namespace {

const SecretName kName{"default", "github"};

class SealedSecretTest : public ::testing::Test {
 protected:
  SecretRecipient Of(const SealingKey& key, std::string name) {
    return {RecipientKind::kNode, std::move(name), key.public_key(), ""};
  }
  SecretSpec Make(const SecretName& name = kName) {
    std::map<std::string, SecretText> values;
    values["token"] = SecretText("s3cret");
    values["empty"] = SecretText("");
    values["other"] = SecretText("0ther");
    StatusOr<SecretSpec> spec = SealSecret(name, values, {Of(node_, "edge-01"), Of(laptop_, "laptop")});
    EXPECT_TRUE(spec.ok()) << spec.status();
    return spec.ok() ? *spec : SecretSpec{};
  }
  // What opening `key` of it comes to.
  StatusOr<std::string> Open(const SecretSpec& spec, const SealingKey& key, const std::string& which = "token",
                             const SecretName& name = kName) {
    ASSIGN_OR_RETURN(const DataKey data_key, OpenDataKey(name, spec, key));
    ASSIGN_OR_RETURN(const SecretText value, OpenValue(name, spec, data_key, which));
    return std::string(value.view());
  }
  StatusCode CodeOf(const SecretSpec& spec, const std::string& which = "token", const SecretName& name = kName) {
    return Open(spec, node_, which, name).status().code();
  }

  SealingKey node_ = SealingKey::Create(), laptop_ = SealingKey::Create(), stranger_ = SealingKey::Create();
};

// Another character of the alphabet, so that the text stays base64url of the same length.
void Flip(std::string* text, size_t at) { (*text)[at] = (*text)[at] == 'A' ? 'B' : 'A'; }

TEST_F(SealedSecretTest, EveryRecipientOpensItAndNobodyElseDoes) {
  const SecretSpec spec = Make();
  for (const SealingKey* key : {&node_, &laptop_}) {
    EXPECT_EQ(Open(spec, *key).value_or("?"), "s3cret");
    EXPECT_EQ(Open(spec, *key, "empty").value_or("?"), "");
  }
  EXPECT_EQ(Open(spec, stranger_).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(spec, "absent"), StatusCode::kNotFound);
}

TEST_F(SealedSecretTest, ItIsAValidObjectAndTellsNoValue) {
  Object object{.kind = kKindSecret, .metadata = {.name = "github"}, .spec = EncodeSecretSpec(Make())};
  StatusOr<SecretSpec> decoded = SecretSpecOf(object);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(Open(*decoded, node_).value_or("?"), "s3cret");
  EXPECT_EQ(EncodeSecretSpec(*decoded), object.spec);
  const std::string text = DumpJson(ObjectToJson(object));
  for (const std::string value : {"s3cret", "0ther"}) {
    EXPECT_EQ(text.find(value), std::string::npos);
    EXPECT_EQ(text.find(Base64UrlEncode(value)), std::string::npos);
  }
}

TEST_F(SealedSecretTest, TheSameValuesAreSealedDifferentlyEachTime) {
  const SecretSpec a = Make(), b = Make();
  EXPECT_NE(a.data_version, b.data_version);
  EXPECT_NE(a.data.at("token"), b.data.at("token"));
  EXPECT_NE(a.recipients[0].sealed_key, b.recipients[0].sealed_key);
}

TEST_F(SealedSecretTest, WhateverIsAlteredItDoesNotOpen) {
  const SecretSpec good = Make();
  const std::pair<const char*, std::function<void(SecretSpec*)>> changes[] = {
      {"dataVersion", [](SecretSpec* s) { Flip(&s->data_version, 0); }},
      {"nonce", [](SecretSpec* s) { Flip(&s->data["token"], 2); }},
      {"ciphertext", [](SecretSpec* s) { Flip(&s->data["token"], 36); }},
      {"tag", [](SecretSpec* s) { Flip(&s->data["token"], s->data["token"].size() - 3); }},
      {"cut", [](SecretSpec* s) { s->data["token"].resize(s->data["token"].size() - 4); }},
      {"no base64url", [](SecretSpec* s) { s->data["token"] = "!"; }},
      {"nothing", [](SecretSpec* s) { s->data["token"].clear(); }},
      {"another key's value", [](SecretSpec* s) { s->data["token"] = s->data["other"]; }},
      {"sealed key", [](SecretSpec* s) { Flip(&s->recipients[0].sealed_key, 80); }},
      {"sealed key cut", [](SecretSpec* s) { s->recipients[0].sealed_key.resize(40); }},
      {"sealed key of another recipient",
       [](SecretSpec* s) { s->recipients[0].sealed_key = s->recipients[1].sealed_key; }},
  };
  for (const auto& [what, change] : changes) {
    SecretSpec spec = good;
    change(&spec);
    EXPECT_EQ(CodeOf(spec), StatusCode::kPermissionDenied) << what;
  }
  SecretSpec without = good;
  without.recipients.erase(without.recipients.begin());
  EXPECT_EQ(CodeOf(without), StatusCode::kNotFound);
}

TEST_F(SealedSecretTest, NothingCanBeMovedToAnotherSecretOrVersion) {
  const SecretSpec spec = Make();
  for (const SecretName& other :
       {SecretName{"default", "gitlab"}, SecretName{"prod", "github"}, SecretName{"defaultg", "ithub"}}) {
    EXPECT_EQ(CodeOf(spec, "token", other), StatusCode::kPermissionDenied) << other.name;
  }
  // A whole value with its own sealed key, put into another version of the same secret.
  SecretSpec newer = Make();
  newer.data = spec.data;
  EXPECT_EQ(CodeOf(newer), StatusCode::kPermissionDenied);
  newer = Make();
  newer.recipients = spec.recipients;
  EXPECT_EQ(CodeOf(newer), StatusCode::kPermissionDenied);
  // And with the data key of the other secret, opened rightly, a value does not open either.
  const SecretSpec gitlab = Make({"default", "gitlab"});
  StatusOr<DataKey> key = OpenDataKey({"default", "gitlab"}, gitlab, node_);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(OpenValue(kName, gitlab, *key, "token").status().code(), StatusCode::kPermissionDenied);
}

TEST_F(SealedSecretTest, ARecipientAddedLaterOpensTheSameVersion) {
  const SecretSpec spec = Make();
  StatusOr<DataKey> key = OpenDataKey(kName, spec, laptop_);
  ASSERT_TRUE(key.ok());
  StatusOr<SecretSpec> more = SealTo(kName, spec, *key, {Of(laptop_, "laptop"), Of(stranger_, "edge-02")});
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->data_version, spec.data_version);
  EXPECT_EQ(more->data, spec.data);
  EXPECT_EQ(Open(*more, stranger_).value_or("?"), "s3cret");
  EXPECT_EQ(Open(*more, laptop_).value_or("?"), "s3cret");
  EXPECT_EQ(CodeOf(*more), StatusCode::kNotFound);  // edge-01 was left out
}

TEST_F(SealedSecretTest, SizesAreBounded) {
  const auto seal = [&](const std::map<std::string, SecretText>& values) {
    return SealSecret(kName, values, {Of(node_, "edge-01")}).status().code();
  };
  EXPECT_EQ(seal({}), StatusCode::kInvalidArgument);
  std::map<std::string, SecretText> values;
  values["a"] = SecretText(std::string(kSecretValueBytes, 'x'));
  EXPECT_EQ(seal(values), StatusCode::kOk);
  values["a"] = SecretText(std::string(kSecretValueBytes + 1, 'x'));
  EXPECT_EQ(seal(values), StatusCode::kInvalidArgument);
  values.clear();
  for (int i = 0; i < 9; ++i) values["k" + std::to_string(i)] = SecretText(std::string(kSecretValueBytes, 'x'));
  EXPECT_EQ(seal(values), StatusCode::kInvalidArgument);
  values.clear();
  for (size_t i = 0; i <= kSecretKeys; ++i) values["k" + std::to_string(i)] = SecretText("x");
  EXPECT_EQ(seal(values), StatusCode::kInvalidArgument);
  values.clear();
  values["a"] = SecretText("x");
  EXPECT_EQ(SealSecret(kName, values, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SealSecret(kName, values, {{RecipientKind::kNode, "edge-01", "short", ""}}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(SealedSecretTest, TheLargestSecretIsAnObjectThatFits) {
  std::map<std::string, SecretText> values;
  for (int i = 0; i < 8; ++i) values["k" + std::to_string(i)] = SecretText(std::string(kSecretValueBytes, 'x'));
  std::vector<SecretRecipient> recipients;
  for (int i = 0; i < 1024; ++i) recipients.push_back(Of(SealingKey::Create(), "edge-" + std::to_string(i)));
  StatusOr<SecretSpec> spec = SealSecret(kName, values, recipients);
  ASSERT_TRUE(spec.ok()) << spec.status();
  Object object{.kind = kKindSecret, .metadata = {.name = "github"}, .spec = EncodeSecretSpec(*spec)};
  EXPECT_TRUE(SecretSpecOf(object).ok());
  EXPECT_LT(DumpJson(ObjectToJson(object)).size(), size_t{1} << 20);
}

TEST(SecretTextTest, MovesLeaveNothingBehind) {
  SecretText a(std::string("short"));
  std::string b = "as short";
  SecretText c(std::move(b));
  EXPECT_TRUE(b.empty());  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_EQ(std::string_view(b.data(), 8), std::string_view("\0\0\0\0\0\0\0\0", 8));
  a = std::move(c);
  EXPECT_EQ(a.view(), "as short");
  EXPECT_TRUE(c.empty());  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace mcpfleet
