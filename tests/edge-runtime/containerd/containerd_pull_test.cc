// Pulling: containerd's Transfer service against a real registry's half, and what 1.6 says without it.
#include "tests/edge-runtime/containerd/containerd_fixture.h"
#include "tests/edge-runtime/docker/tiny_registry.h"

namespace mcpfleet {
namespace {

class ContainerdPullTest : public ContainerdTest {
 protected:
  static ServerSpec Of(const std::string& ref, PullPolicy policy = PullPolicy::kIfNotPresent) {
    ServerSpec spec;
    spec.source = ImageSource{.ref = ref, .pull_policy = policy};
    return spec;
  }
  bool Transfers() const { return std::string(GetParam()) != "1.6"; }
  std::string Image(const std::string& content) {
    registry_->Add("team/weather", "1", {.entrypoint = {"/file"}, .cmd = {"--serve"}, .content = content});
    return registry_->host() + "/team/weather:1";
  }
  void SetUp() override {
    ContainerdTest::SetUp();
    if (IsSkipped()) return;
    // 1.7 takes plain HTTP from nobody.
    registry_ = std::make_unique<TinyRegistry>(http::TlsFiles{
        .cert_file = engine_->registry_certificate(), .key_file = engine_->registry_key(), .setting = ""});
  }
  // What the node's administrator says of registry.example.
  void Hosts(const std::string& toml) {
    ASSERT_TRUE(MakeDirectories(state_ + "/certs.d/registry.example").ok());
    ASSERT_TRUE(WriteFileAtomically(state_ + "/certs.d/registry.example/hosts.toml", toml).ok());
    ContainerdOptions options = Options();
    options.hosts_directory = state_ + "/certs.d";
    runtime_ = ContainerdRuntime::Create(options, clock_).value();
  }
  std::unique_ptr<TinyRegistry> registry_;
};
INSTANTIATE_TEST_SUITE_P(All, ContainerdPullTest, testing::Values("1.6", "1.7", "2"), VersionName);

TEST_P(ContainerdPullTest, An16WithoutTheImageSaysHowToBringItIn) {
  if (Transfers()) GTEST_SKIP() << "this containerd pulls";
  const std::string ref = Image("x");
  const Status status = runtime_->Pull(Of(ref), nullptr, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  for (const std::string& part : {ref, std::string("1.6"), "ctr --address " + engine_->socket(),
                                  "--namespace " + space_, std::string("images pull"), std::string("images import")})
    EXPECT_NE(Message(status).find(part), std::string::npos) << part << " in: " << status;
  EXPECT_EQ(registry_->requests(), 0);
}

TEST_P(ContainerdPullTest, AnImageIsPulledWithProgressAndRuns) {
  if (!Transfers()) GTEST_SKIP() << "1.6 can't pull";
  const std::string ref = Image(std::string(size_t{3} << 20, 'x'));
  registry_->SetSlow(std::chrono::seconds(1));
  std::vector<PullProgress> seen;
  Mutex mu;
  const StatusOr<Artifact> artifact = runtime_->Pull(
      Of(ref),
      [&](const PullProgress& progress) {
        MutexLock lock(&mu);
        seen.push_back(progress);
      },
      Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->entrypoint, std::vector<std::string>{"/file"});
  EXPECT_EQ(artifact->default_args, std::vector<std::string>{"--serve"});
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const PullProgress& progress) {
    return progress.phase == "downloading" && progress.total_bytes > 3 << 20;
  })) << "no progress was told";
  const int64_t asked = registry_->requests();
  EXPECT_EQ(runtime_->Pull(Of(ref), nullptr, Soon())->digest, artifact->digest);
  EXPECT_EQ(registry_->requests(), asked) << "it was there";
  EXPECT_GT(*runtime_->ArtifactBytes(Soon()), 3 << 20);
  // Kept while it is needed, gone when it is not.
  ASSERT_TRUE(runtime_->CollectArtifacts({artifact->digest}, 0, Soon()).ok());
  EXPECT_GT(*runtime_->ArtifactBytes(Soon()), 0);
  ASSERT_TRUE(runtime_->CollectArtifacts({}, 0, Soon()).ok());
  EXPECT_EQ(*runtime_->ArtifactBytes(Soon()), 0);
  EXPECT_EQ(Ctr({"images", "ls", "-q"}).find("team/weather"), std::string::npos);
  EXPECT_EQ(Ctr({"leases", "ls", "-q"}).find("mcpfleet-pull"), std::string::npos);
}

TEST_P(ContainerdPullTest, PullPolicyAlwaysSeesThatATagHasMoved) {
  if (!Transfers()) GTEST_SKIP() << "1.6 can't pull";
  const std::string ref = Image("one");
  const Artifact first = runtime_->Pull(Of(ref), nullptr, Soon()).value();
  Image("two");
  EXPECT_EQ(runtime_->Pull(Of(ref), nullptr, Soon())->digest, first.digest);
  const StatusOr<Artifact> second = runtime_->Pull(Of(ref, PullPolicy::kAlways), nullptr, Soon());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->digest, first.digest);
}

TEST_P(ContainerdPullTest, ARegistryThatWantsAPasswordGetsThatOfThePullSecret) {
  if (!Transfers()) GTEST_SKIP() << "1.6 can't pull";
  const std::string ref = Image("secret");
  registry_->Require("ci:hunter2");
  const Status without = runtime_->Pull(Of(ref), nullptr, Soon()).status();
  EXPECT_EQ(without.code(), StatusCode::kNotFound) << without;
  const Status wrong =
      runtime_->PullAs({.user = "ci", .password = SecretText("wrong-one")}, Of(ref), nullptr, Soon()).status();
  EXPECT_EQ(wrong.code(), StatusCode::kNotFound) << wrong;
  EXPECT_EQ(Message(wrong).find("wrong-one"), std::string::npos);
  const StatusOr<Artifact> with =
      runtime_->PullAs({.user = "ci", .password = SecretText("hunter2")}, Of(ref), nullptr, Soon());
  ASSERT_TRUE(with.ok()) << with.status();
  const std::string config =
      R"({"auths": {")" + registry_->host() + R"(": {"auth": ")" + Base64Encode("ci:hunter2") + R"("}}})";
  EXPECT_TRUE(
      runtime_->PullAs({.docker_config = SecretText::CopyOf(config)}, Of(ref, PullPolicy::kAlways), nullptr, Soon())
          .ok());
}

TEST_P(ContainerdPullTest, AMissingTagIsAnErrorThatNoRetryMends) {
  if (!Transfers()) GTEST_SKIP() << "1.6 can't pull";
  const Status status = runtime_->Pull(Of(registry_->host() + "/team/nothing:1"), nullptr, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  const Status nobody =
      runtime_->Pull(Of("127.0.0.1:1/team/nothing:1"), nullptr, Deadline::After(std::chrono::seconds(20))).status();
  EXPECT_TRUE(IsRetryable(nobody)) << nobody;
}

TEST_P(ContainerdPullTest, AMirrorThatTheNodeNamesIsAskedInTheRegistrysPlace) {
  if (!Transfers()) GTEST_SKIP() << "1.6 can't pull";
  Image("mirrored");
  // One that is dead goes before it.
  Hosts("server = \"https://registry.example\"\n[host.\"https://127.0.0.1:1\"]\n[host.\"https://" + registry_->host() +
        "\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
  const StatusOr<Artifact> artifact = runtime_->Pull(Of("registry.example/team/weather:1"), nullptr, Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_NE(Ctr({"images", "ls", "-q"}).find("registry.example/team/weather:1"), std::string::npos)
      << "it has the registry's name";
  const int64_t asked = registry_->requests();
  EXPECT_EQ(runtime_->Pull(Of("registry.example/team/weather:1"), nullptr, Soon())->digest, artifact->digest);
  EXPECT_EQ(registry_->requests(), asked) << "it was there";
}

TEST_P(ContainerdPullTest, AMirrorThatCantBeAskedByANameIsSaidToBe) {
  if (std::string(GetParam()) != "1.7") GTEST_SKIP() << "1.7 alone is asked by names";
  Image("mirrored");
  Hosts("[host.\"https://" + registry_->host() + "\"]\n  ca = \"/etc/ssl/mirror.pem\"\n");
  const Status status =
      runtime_->Pull(Of("registry.example/team/weather:1", PullPolicy::kAlways), nullptr, Soon()).status();
  EXPECT_NE(
      Message(status).find("https://" + registry_->host() + " was not asked: containerd 1.7 can't ask it with ca"),
      std::string::npos)
      << status;
  EXPECT_EQ(registry_->requests(), 0);
}

}  // namespace
}  // namespace mcpfleet
