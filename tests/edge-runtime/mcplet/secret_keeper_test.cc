#include "edge-runtime/mcplet/secret_keeper.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "crd/codec.h"
#include "crd/secret_spec.h"
#include "edge-runtime/mcplet/desired_view.h"
#include "store/trust/sealed_secret.h"

namespace mcpfleet {
namespace {

class SecretKeeperTest : public ::testing::Test {
 protected:
  SecretKeeperTest() {
    std::string pattern = "/tmp/mcpfleet-keeper-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    WriteKey(key_);
    keeper_ = std::make_unique<SecretKeeper>(directory_ + "/sealing-key");
    keeper_->Reload();
  }
  ~SecretKeeperTest() override { RemoveTree(directory_).IgnoreError(); }

  void WriteKey(const SealingKey& key, int mode = 0600) {
    ASSERT_TRUE(WriteFileAtomically(directory_ + "/sealing-key", key.Secret() + "\n", mode).ok());
  }
  HeldSecret Secret(const std::string& name, const std::map<std::string, std::string>& values, const SealingKey& to) {
    std::map<std::string, SecretText> texts;
    for (const auto& [key, value] : values) texts.emplace(key, SecretText::CopyOf(value));
    SecretSpec spec =
        SealSecret({"default", name}, texts, {{RecipientKind::kNode, "edge-01", to.public_key(), ""}}).value();
    auto object = std::make_shared<Object>();
    object->kind = kKindSecret;
    object->metadata.name = name;
    object->spec = EncodeSecretSpec(spec);
    return {object, ""};
  }
  static ServerSpec Using(const std::string& name, const std::string& key) {
    ServerSpec spec;
    spec.source = ProcessSource{"/server", ""};
    spec.env = {{"TOKEN", "", {name, key}}};
    return spec;
  }
  SecretKeeper::Resolved Resolve(const ServerSpec& spec, const std::map<std::string, HeldSecret>& secrets) {
    return keeper_->Resolve("default", spec, secrets);
  }

  std::string directory_;
  SealingKey key_ = SealingKey::Create(), other_ = SealingKey::Create();
  std::unique_ptr<SecretKeeper> keeper_;
};

HeldSecret Plain(const std::string& key, const std::string& value, const std::string& version) {
  auto plain = std::make_shared<kube::PlainSecret>();
  plain->version = version;
  plain->data.emplace(key, SecretText::CopyOf(value));
  HeldSecret held;
  held.plain = std::move(plain);
  return held;
}

TEST_F(SecretKeeperTest, ASecretOfKubernetesNeedsNoKeyAndItsVersionIsInTheRevision) {
  const SecretKeeper keyless("/nowhere");
  const auto resolved =
      keyless.Resolve("default", Using("github", "token"), {{"github", Plain("token", "s3cret", "v1")}});
  EXPECT_EQ(resolved.reason, "") << resolved.message;
  ASSERT_NE(resolved.source, nullptr);
  EXPECT_EQ(resolved.source->Value({"github", "token"})->view(), "s3cret");
  EXPECT_EQ(resolved.versions, "github=v1\n");
  EXPECT_FALSE(resolved.source->Value({"github", "other"}).ok());
}

TEST_F(SecretKeeperTest, ASecretOfKubernetesIsMissedForbiddenOrNotReadYet) {
  const auto reason = [&](const HeldSecret& held) {
    return Resolve(Using("github", "token"), {{"github", held}}).reason;
  };
  EXPECT_EQ(reason(Plain("other", "x", "v")), "SecretKeyMissing");
  EXPECT_EQ(reason(Plain("token", std::string("a\0b", 3), "v")), "SecretUnusable");
  HeldSecret held;
  EXPECT_EQ(reason(held), "SecretNotFound");
  held.unread = true;
  EXPECT_EQ(reason(held), "SecretNotRead");
  held.unread = false;
  held.forbidden = true;
  held.mismatch = "no role";
  EXPECT_EQ(reason(held), "SecretForbidden");
}

TEST_F(SecretKeeperTest, ASecretOfKubernetesMayBeWhatARegistryAsksFor) {
  ServerSpec spec;
  spec.source = ImageSource{.ref = "ghcr.io/a/b:1", .pull_secret = "ghcr"};
  const auto resolved = Resolve(spec, {{"ghcr", Plain(kDockerConfigKey, "{}", "v7")}});
  EXPECT_EQ(resolved.reason, "") << resolved.message;
  EXPECT_EQ(resolved.pull_version, "v7");
}

TEST_F(SecretKeeperTest, WhatIsSealedToThisNodeIsOpenedWhenItIsAskedFor) {
  const auto resolved = Resolve(Using("github", "token"), {{"github", Secret("github", {{"token", "s3cret"}}, key_)}});
  EXPECT_EQ(resolved.reason, "") << resolved.message;
  ASSERT_NE(resolved.source, nullptr);
  EXPECT_EQ(resolved.source->Value({"github", "token"})->view(), "s3cret");
  EXPECT_EQ(resolved.source->Value({"github", "absent"}).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(resolved.source->Value({"absent", "token"}).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(SecretKeeperTest, EachReasonHasItsNameAndSaysWhatToDo) {
  const HeldSecret good =
      Secret("github", {{"token", "s3cret"}, {"line", "s3cret\n"}, {"nul", std::string(1, 0)}}, key_);
  EXPECT_EQ(Resolve(Using("github", "token"), {}).reason, "SecretNotFound");
  EXPECT_EQ(Resolve(Using("github", "other"), {{"github", good}}).reason, "SecretKeyMissing");
  const auto closed = Resolve(Using("github", "token"), {{"github", Secret("github", {{"token", "x"}}, other_)}});
  EXPECT_EQ(closed.reason, "SecretNotSealedToNode");
  EXPECT_NE(closed.message.find("mcpctl secrets rewrap github -n default"), std::string::npos) << closed.message;
  // Another secret's content under this name, and an object that disagrees with its entry.
  EXPECT_EQ(Resolve(Using("github", "token"), {{"github", Secret("gitlab", {{"token", "x"}}, key_)}}).reason,
            "SecretDamaged");
  EXPECT_EQ(Resolve(Using("github", "token"), {{"github", {nullptr, "the object has another uid"}}}).reason,
            "SecretDamaged");
  auto altered = std::make_shared<Object>(*good.object);
  std::string sealed = altered->spec["data"][2]["sealed"];
  sealed[40] = sealed[40] == 'A' ? 'B' : 'A';
  altered->spec["data"][2]["sealed"] = sealed;
  EXPECT_EQ(Resolve(Using("github", "token"), {{"github", {altered, ""}}}).reason, "SecretDamaged");
  auto invalid = std::make_shared<Object>(*good.object);
  invalid->spec.erase("dataVersion");
  EXPECT_EQ(Resolve(Using("github", "token"), {{"github", {invalid, ""}}}).reason, "SecretDamaged");
  EXPECT_EQ(Resolve(Using("github", "nul"), {{"github", good}}).reason, "SecretUnusable");
  ServerSpec remote;
  remote.source = RemoteSource{"https://x", {{"Authorization", "", {"github", "line"}}}};
  const auto header = Resolve(remote, {{"github", good}});
  EXPECT_EQ(header.reason, "SecretUnusable");
  EXPECT_EQ(header.message.find("s3cret"), std::string::npos);
}

TEST_F(SecretKeeperTest, WithoutAKeyNothingCanBeOpenedAndTheConditionSaysWhy) {
  const HeldSecret good = Secret("github", {{"token", "s3cret"}}, key_);
  ASSERT_EQ(unlink((directory_ + "/sealing-key").c_str()), 0);
  EXPECT_TRUE(keeper_->Reload());
  auto resolved = Resolve(Using("github", "token"), {{"github", good}});
  EXPECT_EQ(resolved.reason, "SecretNotSealedToNode");
  EXPECT_NE(resolved.message.find("sealing-key is not there"), std::string::npos) << resolved.message;
  EXPECT_EQ(resolved.source, nullptr);
  WriteKey(key_, 0644);
  EXPECT_TRUE(keeper_->Reload());
  EXPECT_NE(Resolve(Using("github", "token"), {{"github", good}}).message.find("chmod 600"), std::string::npos);
  WriteKey(key_);
  EXPECT_TRUE(keeper_->Reload());
  EXPECT_FALSE(keeper_->Reload());
  EXPECT_EQ(Resolve(Using("github", "token"), {{"github", good}}).reason, "");
}

TEST_F(SecretKeeperTest, APullSecretHasOneOfTwoForms) {
  ServerSpec spec;
  spec.source = ImageSource{.ref = "ghcr.io/x/y", .pull_secret = "ghcr"};
  const auto reason = [&](const std::map<std::string, std::string>& values) {
    return Resolve(spec, {{"ghcr", Secret("ghcr", values, key_)}}).reason;
  };
  EXPECT_EQ(reason({{".dockerconfigjson", "{}"}}), "");
  EXPECT_EQ(reason({{"username", "a"}, {"password", "b"}}), "");
  EXPECT_EQ(reason({{"username", "a"}}), "SecretKeyMissing");
  const auto resolved = Resolve(spec, {{"ghcr", Secret("ghcr", {{"username", "a"}, {"password", "b"}}, key_)}});
  EXPECT_EQ(resolved.versions, "");  // other credentials are no other instance
  EXPECT_EQ(resolved.pull_version.size(), 32u);
}

TEST_F(SecretKeeperTest, AnotherVersionIsAnotherRevisionAndARewrapIsNot) {
  DesiredView view({}, keeper_.get());
  auto server = std::make_shared<Object>();
  server->kind = kKindServer;
  server->metadata.name = "weather";
  server->spec = {
      {"source", {{"process", {{"path", "/server"}}}}},
      {"env", {{{"name", "TOKEN"}, {"valueFrom", {{"secretKeyRef", {{"name", "github"}, {"key", "token"}}}}}}}}};
  AcceptedState state;
  state.objects[{kKindServer, "default", "weather"}] = {
      .entry = {.key = {kKindServer, "default", "weather"}, .uid = "u", .generation = 1, .hash = "h"},
      .object = server};
  const ObjectKey key{kKindSecret, "default", "github"};
  const auto only = [&] { return view.Current()->servers.begin()->second; };
  EXPECT_TRUE(view.Update(state));
  EXPECT_EQ(only()->unresolved_reason, "SecretNotFound");

  const HeldSecret first = Secret("github", {{"token", "one"}}, key_);
  state.objects[key].object = first.object;
  EXPECT_TRUE(view.Update(state));
  EXPECT_EQ(only()->unresolved_reason, "");
  const std::string revision = only()->revision;
  EXPECT_FALSE(view.Update(state));

  // Sealed to one more node: another object, the same values.
  const SecretName of{"default", "github"};
  const SecretSpec spec = DecodeSecretSpec(first.object->spec).value();
  const DataKey data_key = OpenDataKey(of, spec, key_).value();
  auto rewrapped = std::make_shared<Object>(*first.object);
  rewrapped->spec = EncodeSecretSpec(SealTo(of, spec, data_key,
                                            {{RecipientKind::kNode, "edge-01", key_.public_key(), ""},
                                             {RecipientKind::kNode, "edge-02", other_.public_key(), ""}})
                                         .value());
  state.objects[key].object = rewrapped;
  EXPECT_TRUE(view.Update(state));
  EXPECT_EQ(only()->revision, revision);
  EXPECT_EQ(only()->secrets->Value({"github", "token"})->view(), "one");

  state.objects[key].object = Secret("github", {{"token", "two"}}, key_).object;
  EXPECT_TRUE(view.Update(state));
  EXPECT_NE(only()->revision, revision);
  EXPECT_EQ(only()->secrets->Value({"github", "token"})->view(), "two");

  // The node's key is another one from now on.
  WriteKey(other_);
  EXPECT_TRUE(view.Update(state));
  EXPECT_EQ(only()->unresolved_reason, "SecretNotSealedToNode");
}

}  // namespace
}  // namespace mcpfleet
