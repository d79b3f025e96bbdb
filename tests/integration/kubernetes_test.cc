// A node with Kubernetes as its source: the real mcplet, the process runtime, and an API server: a fake one that
// refuses what a real one refuses, and a real one where it is found (real_kube.h). What is seen here is what a person
// with kubectl sees.
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/strings.h"
#include "base/version.h"
#include "crd/secret_spec.h"
#include "store/trust/node_keys.h"
#include "store/trust/sealed_secret.h"
#include "tests/integration/cluster.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr char kFinalizer[] = "mcpfleet.dev/instances";
constexpr char kCanary[] = "canary-51c0ffee";

class KubernetesTest : public IntegrationTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    if (GetParam() == "Fake") {
      cluster_ = std::make_unique<Cluster>();
      return;
    }
    const StatusOr<KubePrograms> programs = FindKubePrograms();
    if (!programs.ok()) GTEST_SKIP() << "NOT RUN: " << Message(programs.status());
    cluster_ = std::make_unique<Cluster>(*programs);
    ASSERT_TRUE(cluster_->up());
  }
  // A node of the cluster; its name is what placement and status have.
  std::unique_ptr<Node> StartNode(const std::string& name, const std::string& source = "kubernetes") {
    auto node = std::make_unique<Node>(cluster_->Node(name, source));
    node->Start();
    return node;
  }
  bool WaitMerged(const std::string& server, const std::string& type, const std::string& wanted) {
    const bool came = WaitFor([&] { return cluster_->Condition(server, type).starts_with(wanted); });
    EXPECT_TRUE(came) << server << " " << type << ": " << DumpJson(GetMember(cluster_->Server(server), "status"));
    return came;
  }
  bool HasFinalizer(const std::string& server) {
    return DumpJson(GetMember(GetMember(cluster_->Server(server), "metadata"), "finalizers")).find(kFinalizer) !=
           std::string::npos;
  }
  static Json Secret(const std::string& value) {
    return {{"apiVersion", "v1"},
            {"kind", "Secret"},
            {"metadata", {{"name", "github"}, {"namespace", "default"}}},
            {"data", {{"token", Base64Encode(value)}}}};
  }
  static Json WithSecret(const std::string& name) {
    const Json from = {{"secretKeyRef", {{"name", "github"}, {"key", "token"}}}};
    return ProcessServer(name, {}, {{"env", {{{"name", "TOKEN"}, {"valueFrom", from}}}}});
  }
  // TOKEN as the server's process has it.
  static std::string Token(Node& node, const std::string& server) {
    const pid_t pid = node.ServerPid(server);
    const StatusOr<std::string> text = ReadFile("/proc/" + std::to_string(pid) + "/environ", size_t{1} << 20);
    if (pid == 0 || !text.ok()) return "";
    for (const std::string& each : Split(*text, '\0')) {
      if (each.starts_with("TOKEN=")) return each.substr(6);
    }
    return "";
  }

  std::unique_ptr<Cluster> cluster_;
};

constexpr char kSecrets[] = "/api/v1/namespaces/default/secrets";
constexpr char kNodes[] = "/api/v1/nodes";

TEST_P(KubernetesTest, AnObjectRunsIsReadyAndGoesWithAllThatItRan) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("weather"));
  ASSERT_TRUE(node->WaitReady("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  EXPECT_EQ(cluster_->Condition("weather", "Ready", "edge-01").substr(0, 5), "True/");
  EXPECT_TRUE(HasFinalizer("weather"));
  const Json server = cluster_->Server("weather");
  EXPECT_EQ(GetInt(server["status"], "observedGeneration"), 1);
  EXPECT_GT(GetInt(GetMember(server["status"]["nodes"][0], "catalog"), "tools"), 0);
  EXPECT_TRUE(WaitFor([&] { return !cluster_->Events("weather").empty(); }));

  cluster_->DeleteServer("weather");
  EXPECT_TRUE(WaitFor([&] { return cluster_->Gone("weather"); })) << DumpJson(cluster_->Server("weather"));
  EXPECT_TRUE(node->TestServerPids().empty()) << "the object went before its instance";
}

TEST_P(KubernetesTest, AChangeOfTheSpecIsANewGenerationAndOfTheStatusNone) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  const std::vector<std::string> before = node->InstanceIds("weather");
  cluster_->ApplyServer(ProcessServer("weather", {}, {{"env", {{{"name", "A"}, {"value", "1"}}}}}));
  EXPECT_TRUE(WaitFor([&] {
    return GetInt(GetMember(cluster_->Server("weather"), "status"), "observedGeneration") == 2 &&
           cluster_->Condition("weather", "Ready").starts_with("True/");
  })) << DumpJson(cluster_->Server("weather"));
  EXPECT_NE(node->InstanceIds("weather"), before);
  EXPECT_EQ(node->Restarts("weather"), 0);
}

TEST_P(KubernetesTest, WhatEndsAWatchEndsNoServer) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("first"));
  ASSERT_TRUE(WaitMerged("first", "Ready", "True/"));
  const pid_t pid = node->ServerPid("first");

  cluster_->ExpireWatches();  // 410 Gone
  cluster_->ApplyServer(ProcessServer("after-gone"));
  EXPECT_TRUE(WaitMerged("after-gone", "Ready", "True/"));

  cluster_->BreakWatches();  // in the middle of a line
  cluster_->ApplyServer(ProcessServer("after-break"));
  EXPECT_TRUE(WaitMerged("after-break", "Ready", "True/"));

  cluster_->FailRequests();
  cluster_->ApplyServer(ProcessServer("after-errors"));
  EXPECT_TRUE(WaitMerged("after-errors", "Ready", "True/"));
  EXPECT_EQ(node->ServerPid("first"), pid);
}

TEST_P(KubernetesTest, ARotatedTokenIsReadAgain) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("first"));
  ASSERT_TRUE(WaitMerged("first", "Ready", "True/"));
  cluster_->RotateToken();
  cluster_->BreakWatches();  // as an API server ends those of a token that has expired
  cluster_->ApplyServer(ProcessServer("second"));
  EXPECT_TRUE(WaitMerged("second", "Ready", "True/"));
}

TEST_P(KubernetesTest, WithoutTheApiServerWhatRunsGoesOnAndANewMcpletAdoptsIt) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  const pid_t pid = node->ServerPid("weather");
  cluster_->GoAway();
  node->KillDash9();
  node->Start();
  EXPECT_TRUE(node->WaitReady("weather")) << "from the cache";
  EXPECT_EQ(node->ServerPid("weather"), pid);
  cluster_->ComeBack();
  cluster_->ApplyServer(ProcessServer("new"));
  EXPECT_TRUE(WaitMerged("new", "Ready", "True/"));
  cluster_->DeleteServer("weather");
  EXPECT_TRUE(WaitFor([&] { return cluster_->Gone("weather"); })) << DumpJson(cluster_->Server("weather"));
}

TEST_P(KubernetesTest, ASecretReachesTheServerAndNothingElse) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(WithSecret("weather"));
  ASSERT_TRUE(WaitMerged("weather", "ResolvedRefs", "False/SecretNotFound"));
  cluster_->Apply(kSecrets, Secret(kCanary));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  EXPECT_EQ(Token(*node, "weather"), kCanary);

  const std::vector<std::string> before = node->InstanceIds("weather");
  cluster_->Apply(kSecrets, Secret(std::string(kCanary) + "-2"));
  EXPECT_TRUE(WaitFor([&] { return Token(*node, "weather") == std::string(kCanary) + "-2"; }));
  EXPECT_NE(node->InstanceIds("weather"), before);

  // In memory only.
  const CommandResult found = RunCommand({"/usr/bin/grep", "-rlF", kCanary, node->directory()}, {}, "", seconds(20));
  EXPECT_EQ(found.out, "");
  EXPECT_EQ(DumpJson(cluster_->Server("weather")).find(kCanary), std::string::npos);
}

TEST_P(KubernetesTest, ASealedSecretIsPreferredAndRotated) {
  Node node(cluster_->Node("edge-01", "kubernetes"));
  const StatusOr<NodeKeys> keys = NodeKeys::LoadOrCreate(node.state() + "/identity");  // as joining leaves them
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto sealed = [&](const std::string& value) {
    std::map<std::string, SecretText> values;
    values.emplace("token", SecretText::CopyOf(value));
    const StatusOr<SecretSpec> spec =
        SealSecret({"default", "github"}, values, {{.name = "edge-01", .public_key = keys->Public().sealing}});
    EXPECT_TRUE(spec.ok()) << spec.status();
    return Json{{"apiVersion", "mcpfleet.dev/v1alpha1"},
                {"kind", "MCPSecret"},
                {"metadata", {{"name", "github"}, {"namespace", "default"}}},
                {"spec", spec.ok() ? EncodeSecretSpec(*spec) : Json()}};
  };
  constexpr char kSealed[] = "/apis/mcpfleet.dev/v1alpha1/namespaces/default/mcpsecrets";
  cluster_->Apply(kSecrets, Secret("of the cluster"));
  cluster_->Apply(kSealed, sealed(kCanary));
  node.Start();
  cluster_->ApplyServer(WithSecret("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  EXPECT_EQ(Token(node, "weather"), kCanary);
  cluster_->Apply(kSealed, sealed(std::string(kCanary) + "-2"));
  EXPECT_TRUE(WaitFor([&] { return Token(node, "weather") == std::string(kCanary) + "-2"; }));
  cluster_->Delete(std::string(kSealed) + "/github");
  EXPECT_TRUE(WaitFor([&] { return Token(node, "weather") == "of the cluster"; }));
}

TEST_P(KubernetesTest, ANodeTakesWhatItsLabelsMatchAndKeepsItWhenCordoned) {
  const auto core = [](Json labels, bool cordoned) {
    return Json{{"apiVersion", "v1"},
                {"kind", "Node"},
                {"metadata", {{"name", "edge-01"}, {"labels", std::move(labels)}}},
                {"spec", {{"unschedulable", cordoned}}}};
  };
  cluster_->Apply(kNodes, core({{"site", "berlin"}}, false));
  auto node = StartNode("edge-01");
  const auto selected = [](const std::string& name, const std::string& site) {
    return ProcessServer(name, {}, {{"placement", {{"nodeSelector", {{"site", site}}}}}});
  };
  cluster_->ApplyServer(selected("here", "berlin"));
  cluster_->ApplyServer(selected("there", "bonn"));
  ASSERT_TRUE(WaitMerged("here", "Ready", "True/"));
  EXPECT_EQ(cluster_->Condition("there", "Ready", "edge-01"), "");
  EXPECT_TRUE(WaitMerged("there", "Ready", "Unknown/NotReported"));

  cluster_->Apply(kNodes, core({{"site", "berlin"}}, true));  // kubectl cordon
  cluster_->ApplyServer(selected("late", "berlin"));
  cluster_->ApplyServer(selected("here", "berlin"));
  EXPECT_TRUE(WaitMerged("late", "Ready", "Unknown/NotReported"));
  EXPECT_TRUE(node->Condition("here", "Ready").starts_with("True/"));

  cluster_->Apply(kNodes, core({{"site", "bonn"}}, false));
  EXPECT_TRUE(WaitMerged("there", "Ready", "True/"));
  EXPECT_TRUE(WaitFor([&] { return cluster_->Condition("here", "Ready", "edge-01").empty(); }))
      << "a server that this node has let go keeps its entry";
}

TEST_P(KubernetesTest, ANodeShowsItselfAsAnMCPNodeThatItsNodeOwns) {
  cluster_->Apply(kNodes, {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "edge-01"}}}});
  const std::string uid = GetString(GetMember(cluster_->Get(std::string(kNodes) + "/edge-01"), "metadata"), "uid");
  auto node = StartNode("edge-01");
  Json shown;
  const auto ready = [&] {
    shown = cluster_->Get("/apis/mcpfleet.dev/v1alpha1/mcpnodes/edge-01");
    for (const Json& condition : GetMember(GetMember(shown, "status"), "conditions")) {
      if (GetString(condition, "type") == "Ready" && GetString(condition, "status") == "True") return true;
    }
    return false;
  };
  ASSERT_TRUE(WaitFor(ready)) << DumpJson(shown);
  EXPECT_EQ(shown["metadata"]["ownerReferences"],
            Json::array({{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", "edge-01"}, {"uid", uid}}}));
  EXPECT_EQ(GetString(shown["status"], "version"), Version());
  EXPECT_FALSE(GetString(shown["status"], "heartbeat").empty());
  EXPECT_EQ(GetMember(shown["status"], "runtimes"), Json({"Process"}));
  EXPECT_FALSE(shown.contains("spec"));
}

TEST_P(KubernetesTest, OfTwoServersOfOneNameTheStoresRunsAndTheOtherSaysSo) {
  auto node = StartNode("edge-01", "store,kubernetes");
  const CommandResult applied = node->Apply({ProcessServer("weather"), ProcessServer("stored")});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node->WaitReady("weather"));
  const pid_t pid = node->ServerPid("weather");
  cluster_->ApplyServer(ProcessServer("weather"));
  cluster_->ApplyServer(ProcessServer("clustered"));
  ASSERT_TRUE(WaitMerged("clustered", "Ready", "True/"));
  ASSERT_TRUE(WaitMerged("weather", "Accepted", "False/NameTaken"));
  EXPECT_EQ(node->ServerPid("weather"), pid);
  EXPECT_TRUE(node->Condition("stored", "Ready").starts_with("True/"));

  // It takes over when the store's goes, and both together leave nothing.
  const CommandResult removed =
      node->Mcpctl({"delete", "mcpserver", "weather", "--no-wait"});  // the other one runs here then
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(WaitMerged("weather", "Ready", "True/"));
  cluster_->DeleteServer("weather");
  EXPECT_TRUE(WaitFor([&] { return cluster_->Gone("weather"); })) << DumpJson(cluster_->Server("weather"));
  EXPECT_TRUE(node->Condition("stored", "Ready").starts_with("True/"));
}

TEST_P(KubernetesTest, TwoNodesHaveAnEntryEachAndOneOfThemMerges) {
  auto one = StartNode("edge-01");
  auto two = StartNode("edge-02");
  cluster_->ApplyServer(ProcessServer("weather"));
  const auto ready = [&](const std::string& node) { return cluster_->Condition("weather", "Ready", node); };
  ASSERT_TRUE(WaitFor([&] { return ready("edge-01").starts_with("True/") && ready("edge-02").starts_with("True/"); }))
      << DumpJson(cluster_->Server("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  cluster_->DeleteServer("weather");
  EXPECT_TRUE(WaitFor([&] { return cluster_->Gone("weather"); })) << DumpJson(cluster_->Server("weather"));
  EXPECT_TRUE(one->TestServerPids().empty());
  EXPECT_TRUE(two->TestServerPids().empty());
}

TEST_P(KubernetesTest, KubectlIsTheCommandLine) {
  if (cluster_->kubectl().empty()) GTEST_SKIP() << "NOT RUN: no kubectl";
  auto node = StartNode("edge-01");
  // The fake one has no OpenAPI documents, by which kubectl validates.
  const std::string validate = GetParam() == "Real" ? "--validate=strict" : "--validate=false";
  const CommandResult applied = cluster_->Kubectl({"apply", validate, "-f", "-"}, DumpJson(ProcessServer("weather")));
  ASSERT_TRUE(applied.ok()) << applied;
  const CommandResult waited = cluster_->Kubectl({"wait", "mcp/weather", "--for=condition=Ready", "--timeout=45s"});
  EXPECT_TRUE(waited.ok()) << waited;
  const CommandResult listed = cluster_->Kubectl({"get", "mcpservers", "-o", "wide"});
  ASSERT_TRUE(listed.ok()) << listed;
  for (const char* text :
       {"NAME", "READY", "STATUS", "TOOLS", "PROTOCOL", "RESTARTS", "AGE", "NODES", "weather", "True", "edge-01"})
    EXPECT_NE(listed.out.find(text), std::string::npos) << text << " in\n" << listed.out;
  // Applied again it is the same; another form of it is a change.
  const CommandResult again = cluster_->Kubectl({"apply", validate, "-f", "-"}, DumpJson(ProcessServer("weather")));
  EXPECT_NE(again.out.find("unchanged"), std::string::npos) << again;
  const CommandResult deleted = cluster_->Kubectl({"delete", "mcpserver", "weather", "--timeout=45s"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_TRUE(cluster_->Gone("weather"));
}

TEST_P(KubernetesTest, ReplicasAreRefusedBecauseNobodyTellsWhichNodesAreUp) {
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("weather", {}, {{"placement", {{"replicas", 1}}}}));
  EXPECT_TRUE(WaitMerged("weather", "Accepted", "False/ReplicasUnsupported"));
}

TEST_P(KubernetesTest, AVersionThatIsForgottenIsGone) {
  cluster_->ApplyServer(ProcessServer("weather"));
  const Json server = cluster_->Server("weather");
  const std::string version = GetString(GetMember(server, "metadata"), "resourceVersion");
  cluster_->ApplyServer(ProcessServer("weather", {}, {{"env", {{{"name", "A"}, {"value", "1"}}}}}));
  EXPECT_EQ(cluster_->WatchFrom(version), "MODIFIED weather");
  cluster_->ApplyServer(ProcessServer("another"));
  cluster_->ExpireWatches();
  EXPECT_EQ(cluster_->WatchFrom(version), "410");
}

// What a fake one does not have.
class RealKubernetesTest : public KubernetesTest {
 protected:
  void Takes(const std::vector<std::string>& args) {
    const CommandResult result = cluster_->Kubectl(args);
    EXPECT_TRUE(result.ok()) << Join(args, " ") << "\n" << result;
    EXPECT_EQ(result.err.find("Warning"), std::string::npos) << Join(args, " ") << "\n" << result.err;
  }
};

// crd/*.yaml are taken, strictly, before any of these tests (RealKube::Start).
TEST_P(RealKubernetesTest, ItTakesTheManifestsThatTheDocsApply) {
  ASSERT_NE(cluster_->kubectl(), "");
  const std::string source = MCPFLEET_SOURCE_DIR;
  for (const char* space : {"tools", "mcp"}) Takes({"create", "namespace", space});
  Takes({"apply", "--server-side", "--force-conflicts", "--validate=strict", "-f",
         source + "/manifests/kubernetes/rbac.yaml"});
  Takes({"apply", "--validate=strict", "-f", source + "/manifests/examples"});
  // Of the chart, kube-apiserver 1.20 does not know maxSurge, internalTrafficPolicy, and what everything.yaml has
  // beside. The account is what controllers make in each namespace.
  Takes({"create", "serviceaccount", "default"});
  for (const char* chart : {"default", "docker-store", "minimal", "pod-network"}) {
    const CommandResult applied = cluster_->Kubectl(
        {"apply", "--dry-run=server", "--validate=false", "-f", source + "/tests/helm/golden/" + chart + ".yaml"});
    EXPECT_TRUE(applied.ok()) << chart << "\n" << applied;
    EXPECT_NE(applied.out.find("daemonset.apps/"), std::string::npos) << chart << "\n" << applied;
  }
}

TEST_P(RealKubernetesTest, KubectlRestartsAServerAndDescribesWhatHappened) {
  ASSERT_NE(cluster_->kubectl(), "");
  auto node = StartNode("edge-01");
  cluster_->ApplyServer(ProcessServer("weather"));
  ASSERT_TRUE(WaitMerged("weather", "Ready", "True/"));
  const pid_t before = node->ServerPid("weather");
  Takes({"annotate", "--overwrite", "mcpserver", "weather", "mcpfleet.dev/restartedAt=2026-11-22T00:00:00+00:00"});
  EXPECT_TRUE(WaitFor([&] {
    const pid_t now = node->ServerPid("weather");
    return now != 0 && now != before;
  }));
  EXPECT_TRUE(WaitFor([&] {
    const CommandResult described = cluster_->Kubectl({"describe", "mcpserver", "weather"});
    const size_t events = described.out.find("\nEvents:");
    return described.ok() && events != std::string::npos &&
           described.out.find("mcpfleet.dev/mcplet", events) != std::string::npos;
  })) << cluster_->Kubectl({"describe", "mcpserver", "weather"});
}

TEST_P(RealKubernetesTest, WhatOnlyMcpletCanJudgeIsTakenAndRefusedInTheStatus) {
  auto node = StartNode("edge-01");
  Json server = ProcessServer("weather");
  server["spec"]["source"]["process"]["path"] = "/opt/../bin/true";
  cluster_->ApplyServer(server);
  EXPECT_TRUE(WaitMerged("weather", "Accepted", "False/InvalidSpec"));
  cluster_->DeleteServer("weather");
  EXPECT_TRUE(WaitFor([&] { return cluster_->Gone("weather"); })) << DumpJson(cluster_->Server("weather"));
}

INSTANTIATE_TEST_SUITE_P(Servers, RealKubernetesTest, ::testing::Values("Real"),
                         [](const auto& value) { return value.param; });
INSTANTIATE_TEST_SUITE_P(Servers, KubernetesTest, ::testing::Values("Fake", "Real"),
                         [](const auto& value) { return value.param; });

}  // namespace
}  // namespace mcpfleet
