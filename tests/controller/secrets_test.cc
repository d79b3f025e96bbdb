#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

// Values as they would be opened.
class FakeSecrets final : public SecretSource {
 public:
  explicit FakeSecrets(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  StatusOr<SecretText> Value(const SecretKeyRef& ref) const override {
    auto it = values_.find(ref.name + "/" + ref.key);
    if (it == values_.end()) return FailedPrecondition("secret " + ref.name + ": it has no key \"" + ref.key + "\"");
    return SecretText::CopyOf(it->second);
  }

 private:
  const std::map<std::string, std::string> values_;
};

DesiredServer Using(const std::string& value, const std::string& version = "1") {
  DesiredServer server = Server("weather");
  server.spec.env = {{"LEVEL", "info"}, {"TOKEN", "", {"github", "token"}}};
  server.spec.files = {{"/run/secrets/key", {"github", "token"}}};
  server.secrets = std::make_shared<FakeSecrets>(std::map<std::string, std::string>{{"github/token", value}});
  server.revision = Sha256Hex(server.revision + version);
  return server;
}

DesiredServer Unresolved(DesiredServer server) {
  server.unresolved_reason = "SecretNotFound";
  server.unresolved_message = "spec.env[TOKEN].valueFrom: there is no secret github in namespace default";
  server.secrets = nullptr;
  return server;
}

std::string Token(const World& world, size_t start) {
  const auto starts = world.sessions.starts();
  if (start >= starts.size()) return "(no such start)";
  for (const EnvVar& variable : starts[start].env) {
    if (variable.name == "TOKEN") return variable.value;
  }
  return "(none)";
}

TEST(SecretsTest, AChildGetsTheValuesAndTheFilesAndTheEngineGetsNeither) {
  World world;
  world.desired.Put(Using("s3cret"));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.Reason("weather", "ResolvedRefs"), "Resolved");
  EXPECT_EQ(Token(world, 0), "s3cret");
  ASSERT_EQ(world.sessions.files().size(), 1u);
  EXPECT_EQ(world.sessions.files()[0], world.Instance() + " /run/secrets/key=s3cret");
}

TEST(SecretsTest, WithoutItsSecretNothingStartsAndReadySaysWhy) {
  World world;
  world.desired.Put(Unresolved(Using("")));
  world.desired.Put(Server("other"));
  world.Settle();
  EXPECT_EQ(world.Reason("weather", "ResolvedRefs"), "SecretNotFound");
  EXPECT_EQ(world.Reason("weather", "Ready"), "SecretNotFound");
  EXPECT_EQ(world.Reason("weather", "Progressing"), "SecretNotFound");
  EXPECT_EQ(world.Reason("weather", "Accepted"), "Accepted");
  EXPECT_TRUE(world.Ready("other"));
  EXPECT_EQ(world.Containers().size(), 1u);
  // The secret arrives.
  world.desired.Put(Using("s3cret"));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(SecretsTest, WhatRunsGoesOnWhenItsSecretIsLostAndIsRestartedWithTheValuesThatItHad) {
  World world;
  const DesiredServer before = Using("s3cret");
  world.desired.Put(before);
  world.Settle();
  const std::string instance = world.Instance();
  world.desired.Put(Unresolved(Using("", "2")));
  world.Settle();
  EXPECT_EQ(world.Instance(), instance);
  EXPECT_EQ(world.Reason("weather", "ResolvedRefs"), "SecretNotFound");
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
  world.sessions.ExitMain(instance, {.code = 1});
  world.Pass(std::chrono::seconds(30));
  EXPECT_EQ(world.Instance(), instance);
  EXPECT_EQ(world.sessions.starts().size(), 2u);
  EXPECT_EQ(Token(world, 1), "s3cret");
}

TEST(SecretsTest, AnotherVersionRollsTheServer) {
  World world;
  world.desired.Put(Using("one", "1"));
  world.Settle();
  const std::string first = world.Instance();
  world.desired.Put(Using("two", "2"));
  world.Pass(std::chrono::minutes(1));
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_NE(world.Instance(), first);
  EXPECT_EQ(Token(world, 1), "two");
}

TEST(SecretsTest, ASuspendedServerIsStoppedWhateverItsSecrets) {
  World world;
  world.desired.Put(Using("s3cret"));
  world.Settle();
  DesiredServer suspended = Unresolved(Using(""));
  suspended.spec.suspend = true;
  world.desired.Put(suspended);
  world.Pass(std::chrono::minutes(1));
  EXPECT_TRUE(world.Containers().empty());
}

TEST(SecretsTest, WhereNothingCanBeHandedOverUnseenTheConditionSaysSoAndNothingStarts) {
  World world;
  world.runtime->SetWhyNoSecrets("no shim can hand them over");
  world.desired.Put(Using("s3cret"));
  DesiredServer plain = Server("plain");
  plain.spec.env = {{"LEVEL", "info"}};
  world.desired.Put(plain);
  world.Settle();
  EXPECT_EQ(world.Reason("weather", "ResolvedRefs"), "SecretNotDeliverable");
  EXPECT_TRUE(world.Ready("plain"));
  EXPECT_EQ(world.Containers().size(), 1u);
  const int news = world.gateway.changes(World::Key("weather"));
  world.Settle();
  EXPECT_EQ(world.gateway.changes(World::Key("weather")), news);
  world.runtime->SetWhyNoSecrets("");
  world.Pass(std::chrono::seconds(40));
  world.controller->Trigger(World::Key("weather"));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(SecretsTest, AfterARestartOfMcpletAnEarlierVersionIsNotStartedWithoutItsValues) {
  World world;
  DesiredServer before = Using("s3cret", "1");
  before.spec.update_strategy.auto_rollback = false;
  world.desired.Put(before);
  world.Settle();
  const std::string old = world.Instance();
  DesiredServer never = Using("two", "2");
  never.spec.update_strategy.auto_rollback = false;
  world.sessions.DefaultScript().exec_failure = "exec: No such file or directory";
  world.desired.Put(never);
  world.Pass(std::chrono::seconds(5));
  world.Boot();
  world.Settle();
  const size_t starts = world.sessions.starts().size();
  world.sessions.ExitMain(old, {.code = 1});
  world.Pass(std::chrono::minutes(2));
  for (size_t i = starts; i < world.sessions.starts().size(); ++i) {
    if (world.sessions.starts()[i].instance == old) ADD_FAILURE() << "started with " << Token(world, i);
  }
}

TEST(SecretsTest, AnImageIsPulledWithItsPullSecretAndOtherCredentialsAreAnotherTry) {
  World world;
  DesiredServer server = Server("weather");
  std::get<ImageSource>(server.spec.source).pull_secret = "ghcr";
  server.pull_secret_version = "1";
  server.secrets = std::make_shared<FakeSecrets>(
      std::map<std::string, std::string>{{"ghcr/username", "ci"}, {"ghcr/password", "wrong"}});
  world.runtime->RequirePassword("right");
  world.desired.Put(server);
  world.Settle();
  EXPECT_EQ(world.Reason("weather", "ArtifactReady"), "PullFailed");
  server.secrets = std::make_shared<FakeSecrets>(
      std::map<std::string, std::string>{{"ghcr/username", "ci"}, {"ghcr/password", "right"}});
  server.pull_secret_version = "2";
  world.desired.Put(server);
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.sessions.starts().size(), 1u);
}

TEST(SecretsTest, ARemoteServersHeadersAreNotOpenedBeforeTheyAreSent) {
  World world;
  DesiredServer server = Server("weather").Remote("https://mcp.test");
  std::get<RemoteSource>(server.spec.source).headers = {{"Authorization", "", {"github", "header"}}};
  server.secrets = std::make_shared<FakeSecrets>(std::map<std::string, std::string>{{"github/header", "Bearer x"}});
  world.desired.Put(server);
  world.Settle();
  StatusOr<ProbeTarget> target = world.controller->TargetOf(World::Key("weather"));
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->headers[0].value, "");
  StatusOr<OpenedHeaders> opened = OpenHeaders(target->headers, target->secrets.get());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->headers[0].value, "Bearer x");
  EXPECT_FALSE(OpenHeaders(target->headers, nullptr).ok());
}

}  // namespace
}  // namespace mcpfleet
