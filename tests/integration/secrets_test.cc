// Secrets from mcpctl to the server, on both runtimes: that they arrive, that a lost or changed one does what it
// should, and that no value is anywhere where somebody else reads.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/strings.h"
#include "store/trust/sealing.h"
#include "tests/integration/fixture.h"
#include "tests/integration/upstream.h"

namespace mcpfleet {
namespace {

namespace fs = std::filesystem;

constexpr char kCanary[] = "canary-7d20c1e5b9";

// As an enrolment leaves it.
Json NodeManifest(const std::string& name, const SealingKey& key) {
  const Json keys = {{"signing", std::string(43, 'A')}, {"sealing", key.public_key()}};
  return {{"apiVersion", "mcpfleet.dev/v1alpha1"},
          {"kind", "MCPNode"},
          {"metadata", {{"name", name}}},
          {"spec", {{"keys", keys}}}};
}

std::string Backwards(std::string text) {
  std::reverse(text.begin(), text.end());
  return text;
}

class SecretsTest : public RuntimesTest {
 protected:
  void SetUp() override {
    RuntimesTest::SetUp();
    if (IsSkipped()) return;
    WriteKey(key_);
    Join(key_);
    ASSERT_TRUE(node_->Mcpctl({"keys", "create", "laptop", "--sealing"}).ok());
  }
  // What joining leaves on a node and in the store.
  void WriteKey(const SealingKey& key) {
    ASSERT_TRUE(MakeDirectories(node_->state() + "/identity", 0700).ok());
    ASSERT_TRUE(WriteFileAtomically(node_->state() + "/identity/sealing-key", key.Secret() + "\n", 0600).ok());
  }
  void Join(const SealingKey& key) {
    const Json manifest = NodeManifest(node_->name(), key);
    const CommandResult joined = node_->Apply({manifest});
    ASSERT_TRUE(joined.ok()) << joined;
  }
  CommandResult Create(const std::string& value, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"create", "secret", "github", "--from-file", "token=-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return node_->Mcpctl(arguments, value);
  }
  static Json Ref(const std::string& key) { return {{"name", "github"}, {"key", key}}; }
  Json Using(const std::string& name = "weather") {
    return Server(name, {},
                  {{"env", Json::array({{{"name", "TOKEN"}, {"valueFrom", {{"secretKeyRef", Ref("token")}}}}})},
                   {"files", Json::array({{{"path", "/run/secrets/token"}, {"secretKeyRef", Ref("token")}}})}});
  }
  std::string Env(const std::string& server = "weather") {
    return Backwards(node_->CallTool(server, "reveal", {{"env", "TOKEN"}}));
  }
  std::string File(const std::string& server = "weather") {
    return Backwards(node_->CallTool(server, "reveal", {{"file", "/run/secrets/token"}}));
  }
  std::string Inspected() {
    std::string text;
    for (const std::string& container : node_->Containers()) {
      StatusOr<DockerEngine::Answer> answer =
          DockerEngine::Shared()->Request("GET", "/containers/" + container + "/json");
      text += answer.ok() ? answer->body : "";
    }
    return text;
  }

  SealingKey key_ = SealingKey::Create();
};

// Files below `directory` that contain the text.
std::vector<std::string> FilesWith(const std::string& directory, const std::string& text) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    StatusOr<std::string> content = ReadFile(it->path().string(), size_t{256} << 20);
    if (content.ok() && content->find(text) != std::string::npos) found.push_back(it->path().string());
  }
  return found;
}

TEST_P(SecretsTest, AVariableAndAFileArriveAndTheValueIsNowhereElse) {
  ASSERT_TRUE(Create(kCanary).ok());
  const CommandResult applied = node_->Apply({Using()});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->Condition("weather", "ResolvedRefs"), "True/Resolved");
  EXPECT_EQ(Env(), kCanary);
  EXPECT_EQ(File(), kCanary);
  // 0400, of the server's user, in memory.
  const pid_t pid = node_->ServerPid("weather");
  ASSERT_GT(pid, 0);
  struct stat info {};
  const std::string inside = "/proc/" + std::to_string(pid) + "/root/run/secrets/token";
  ASSERT_EQ(stat(inside.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, mode_t{0400});
  EXPECT_EQ(info.st_uid, 65534u);
  StatusOr<std::string> mounts = ReadFile("/proc/" + std::to_string(pid) + "/mounts", size_t{1} << 20);
  ASSERT_TRUE(mounts.ok());
  EXPECT_NE(mounts->find(" /run/secrets tmpfs "), std::string::npos) << *mounts;
  // A restart of the child, and of mcplet, gives it the same again.
  node_->Poke("weather", "exit", {{"code", 3}});
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("weather") == 1 && Env() == kCanary; }));
  EXPECT_EQ(File(), kCanary);
  node_->KillDash9();
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(Env(), kCanary);

  // Nowhere on disk: state, store, logs, sandbox configuration, notebooks, contexts.
  const std::vector<std::string> files = FilesWith(node_->directory(), kCanary);
  EXPECT_TRUE(files.empty()) << mcpfleet::Join(files, "\n");
  // In no engine's answer, and in no argument vector.
  EXPECT_EQ(Inspected().find(kCanary), std::string::npos);
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const StatusOr<std::string> line = ReadFile(entry.path().string() + "/cmdline", size_t{1} << 20);
    EXPECT_EQ(line.value_or("").find(kCanary), std::string::npos) << entry.path();
  }
  // Nor in what people and machines are told.
  http::Client admin(http::UnixEndpoint(node_->directory() + "/run/mcplet.sock"), {});
  for (const char* target :
       {"/v1/status", "/v1/events", "/v1/servers", "/v1/servers/default/weather", "/metrics", "/readyz?verbose"}) {
    StatusOr<http::Response> answer =
        admin.Do({.method = "GET", .target = target}, Deadline::After(std::chrono::seconds(10)));
    if (answer.ok()) {
      EXPECT_EQ(answer->body.find(kCanary), std::string::npos) << target;
    }
  }
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"describe", "mcpserver", "weather"},
                                             {"describe", "mcpsecret", "github"},
                                             {"get", "all", "-A", "-o", "yaml"},
                                             {"logs", "weather"},
                                             {"events"},
                                             {"support-bundle", "-o", node_->directory() + "/bundle.tar"}}) {
    const CommandResult result = node_->Mcpctl(words);
    EXPECT_EQ((result.out + result.err).find(kCanary), std::string::npos) << words[0];
  }
  EXPECT_TRUE(FilesWith(node_->directory(), kCanary).empty());
}

TEST_P(SecretsTest, AChangedValueRollsTheServerAndARewrapDoesNot) {
  ASSERT_TRUE(Create("one").ok());
  ASSERT_TRUE(node_->Apply({Using()}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  const SealingKey other = SealingKey::Create();
  const Json another = NodeManifest("edge-99", other);
  ASSERT_TRUE(node_->Apply({another}).ok());
  const CommandResult rewrapped = node_->Mcpctl({"secrets", "rewrap", "github"});
  ASSERT_TRUE(rewrapped.ok()) << rewrapped;
  EXPECT_NE(rewrapped.err.find("+ node edge-99"), std::string::npos) << rewrapped;
  // The next change is seen after it: by then nothing was rolled.
  ASSERT_TRUE(node_->Apply({Server("marker")}).ok());
  ASSERT_TRUE(node_->WaitReady("marker"));
  EXPECT_EQ(node_->InstanceIds("weather"), before);

  ASSERT_TRUE(Create("two", {"--replace"}).ok());
  ASSERT_TRUE(WaitFor([&] { return Env() == "two"; }));
  EXPECT_EQ(File(), "two");
  ASSERT_TRUE(WaitFor([&] { return node_->InstanceIds("weather").size() == 1; }));
  EXPECT_NE(node_->InstanceIds("weather"), before);
}

TEST_P(SecretsTest, ALostSecretLeavesWhatRunsAndIsSaidAndOthersConverge) {
  ASSERT_TRUE(Create("one").ok());
  ASSERT_TRUE(node_->Apply({Using()}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcpsecret", "github", "--force"}).ok());
  ASSERT_TRUE(node_->WaitCondition("weather", "ResolvedRefs", "False", "SecretNotFound"));
  EXPECT_EQ(node_->Condition("weather", "Ready"), "False/SecretNotFound");
  EXPECT_EQ(Env(), "one");
  EXPECT_EQ(node_->InstanceIds("weather"), before);
  ASSERT_TRUE(node_->Apply({Server("other")}).ok());
  ASSERT_TRUE(node_->WaitReady("other"));
  // Made anew for a key that this node does not have; then the node gets it, and no head moves.
  const SealingKey late = SealingKey::Create();
  Join(late);
  ASSERT_TRUE(Create("two").ok());
  ASSERT_TRUE(node_->WaitCondition("weather", "ResolvedRefs", "False", "SecretNotSealedToNode"));
  EXPECT_EQ(Env(), "one");
  WriteKey(late);
  ASSERT_TRUE(node_->WaitCondition("weather", "ResolvedRefs", "True", "Resolved", std::chrono::seconds(90)));
  ASSERT_TRUE(WaitFor([&] { return Env() == "two"; }));
}

INSTANTIATE_TEST_SUITE_P(Runtimes, SecretsTest, ::testing::Values(On::kProcess, On::kDocker), OnName);

class RemoteSecretsTest : public SecretsTest {};

TEST_P(RemoteSecretsTest, AHeaderOfARemoteServerIsSentByProbesAndTheGatewayAndWrittenNowhere) {
  Upstream upstream;
  ASSERT_TRUE(
      node_->Mcpctl({"create", "secret", "github", "--from-file", "header=-"}, std::string("Bearer ") + kCanary).ok());
  const Json headers = Json::array({{{"name", "Authorization"}, {"valueFrom", {{"secretKeyRef", Ref("header")}}}}});
  const Json source = {{"remote", {{"url", upstream.url()}, {"headers", headers}}}};
  const Json far = {{"apiVersion", "mcpfleet.dev/v1alpha1"},
                    {"kind", "MCPServer"},
                    {"metadata", {{"name", "far"}}},
                    {"spec", {{"source", source}}}};
  const CommandResult applied = node_->Apply({far});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node_->WaitReady("far"));
  EXPECT_NE(upstream.Seen().find(std::string("Authorization: Bearer ") + kCanary), std::string::npos)
      << upstream.Seen();
  // Through the gateway, as a client; then with a new value.
  const auto through = [&] { return node_->Mcpctl({"tools", "call", node_->GatewayUrl("far"), "echo"}).ok(); };
  EXPECT_TRUE(through());
  ASSERT_TRUE(
      node_->Mcpctl({"create", "secret", "github", "--replace", "--from-file", "header=-"}, "Bearer rotated").ok());
  ASSERT_TRUE(WaitFor([&] { return upstream.Seen().find("Authorization: Bearer rotated") != std::string::npos; }));
  EXPECT_TRUE(WaitFor(through));
  EXPECT_TRUE(FilesWith(node_->directory(), kCanary).empty());
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RemoteSecretsTest, ::testing::Values(On::kProcess), OnName);

class AttachedSecretsTest : public IntegrationTest {};

TEST_F(AttachedSecretsTest, WithoutAShimTheConditionSaysThatNothingCanBeHandedOver) {
  if (EngineWithImage() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
  Node node(NodeOptions{.docker_socket = EngineWithImage()->socket(), .docker_attach = true});
  node.Start();
  const SealingKey key = SealingKey::Create();
  ASSERT_TRUE(MakeDirectories(node.state() + "/identity", 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(node.state() + "/identity/sealing-key", key.Secret() + "\n", 0600).ok());
  const Json joined = NodeManifest(node.name(), key);
  ASSERT_TRUE(node.Apply({joined}).ok());
  ASSERT_TRUE(node.Mcpctl({"keys", "create", "laptop", "--sealing"}).ok());
  ASSERT_TRUE(node.Mcpctl({"create", "secret", "github", "--from-file", "token=-"}, kCanary).ok());
  const Json env =
      Json::array({{{"name", "TOKEN"}, {"valueFrom", {{"secretKeyRef", {{"name", "github"}, {"key", "token"}}}}}}});
  ASSERT_TRUE(node.Apply({DockerServer("weather", {}, {{"env", env}}), DockerServer("plain")}).ok());
  ASSERT_TRUE(node.WaitCondition("weather", "ResolvedRefs", "False", "SecretNotDeliverable"));
  ASSERT_TRUE(node.WaitReady("plain"));
  EXPECT_EQ(node.InstanceIds("weather").size(), 0u);
}

}  // namespace
}  // namespace mcpfleet
