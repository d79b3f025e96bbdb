// Many servers, agents that die at any moment, engines that restart, stores that go away.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "base/strings.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int KillsWanted() {
  const char* text = getenv("MCPFLEET_KILLS");
  return text != nullptr ? std::max(1, std::atoi(text)) : 5;
}

class FleetTest : public RuntimesTest {
 protected:
  std::vector<Json> Fleet(int count, const std::string& version) const {
    std::vector<Json> manifests;
    manifests.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) manifests.push_back(Server("s" + std::to_string(i), {"--name", version}));
    return manifests;
  }
  // Every server Ready, on one instance each, all of `version`, and nothing else alive.
  std::string Unconverged(int count, const std::string& version) {
    const Json status = node_->NodeStatus();
    int ready = 0;
    std::set<std::string> instances;
    for (const Json& server : GetMember(status, "servers")) {
      const Json& list = GetMember(server, "instances");
      if (list.size() != 1) return GetString(server, "name") + " has " + std::to_string(list.size()) + " instances";
      instances.insert(GetString(list[0], "id"));
      for (const Json& condition : GetMember(server, "conditions")) {
        ready += GetString(condition, "type") == "Ready" && GetString(condition, "status") == "True";
      }
    }
    if (ready != count) return std::to_string(ready) + " of " + std::to_string(count) + " are ready";
    const std::vector<pid_t> pids = node_->TestServerPids();
    if (pids.size() != static_cast<size_t>(count)) return std::to_string(pids.size()) + " server processes";
    for (const pid_t pid : pids) {
      StatusOr<std::string> argv = ReadFile("/proc/" + std::to_string(pid) + "/cmdline", 4096);
      if (!argv.ok() || argv->find(version) == std::string::npos)
        return "process " + std::to_string(pid) + " is of another version";
    }
    if (GetParam() != On::kProcess && node_->Containers().size() != static_cast<size_t>(count)) {
      return std::to_string(node_->Containers().size()) + " containers";
    }
    return "";
  }
  void ExpectConvergence(int count, const std::string& version) {
    std::string why;
    EXPECT_TRUE(WaitFor([&] { return (why = Unconverged(count, version)).empty(); }, seconds(120))) << why;
  }
};
INSTANTIATE_TEST_SUITE_P(On, FleetTest, testing::Values(On::kProcess, On::kDocker, On::kContainerd), OnName);

TEST_P(FleetTest, KillsOfMcpletAtAnyMomentOfAnApplyLeaveNoDuplicateAndNoOrphan) {
  constexpr int kServers = 20;
  const char* given = getenv("MCPFLEET_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("MCPFLEET_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  std::string version;
  for (int i = 0; i < KillsWanted(); ++i) {
    version = "version-" + std::to_string(i);
    const CommandResult applied = node_->Apply(Fleet(kServers, version));
    ASSERT_TRUE(applied.ok()) << applied;
    const Deadline moment = Deadline::After(milliseconds(random() % 2000));
    WaitFor([&] { return moment.Expired(); });
    node_->KillDash9();
    node_->Start();
    ASSERT_FALSE(HasFatalFailure());
  }
  ExpectConvergence(kServers, version);
}

TEST_P(FleetTest, AnAgentKilledWhileItStartsIsNoHarm) {
  ASSERT_TRUE(node_->Apply(Fleet(5, "one")).ok());
  ExpectConvergence(5, "one");
  const std::vector<pid_t> before = node_->TestServerPids();
  for (const int delay : {5, 20, 50, 100}) {
    node_->KillDash9();
    node_->Spawn();
    const Deadline moment = Deadline::After(milliseconds(delay));
    WaitFor([&] { return moment.Expired(); });
  }
  node_->KillDash9();
  node_->Start();
  ExpectConvergence(5, "one");
  EXPECT_EQ(node_->TestServerPids(), before);
}

class DockerNodeTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    if (EngineWithImage() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
    node_ = std::make_unique<Node>(NodeOptions{.docker_socket = EngineWithImage()->socket()});
    node_->Start();
  }
  std::unique_ptr<Node> node_;
};

TEST_F(DockerNodeTest, ARestartOfDockerUnderLoadMakesNoDuplicates) {
  for (const char* version : {"one", "two"}) {
    std::vector<Json> manifests;
    manifests.reserve(8);
    for (int i = 0; i < 8; ++i) manifests.push_back(DockerServer("s" + std::to_string(i), {"--name", version}));
    ASSERT_TRUE(node_->Apply(manifests).ok());
    ASSERT_TRUE(WaitFor([&] { return !node_->TestServerPids().empty(); }));
    const Status restarted = EngineWithImage()->Restart(SIGTERM);
    ASSERT_TRUE(restarted.ok()) << restarted;
    const auto converged = [&] {
      int ready = 0;
      for (int i = 0; i < 8; ++i) ready += node_->Condition("s" + std::to_string(i), "Ready") == "True/Ready";
      return ready == 8 && node_->Containers().size() == 8 && node_->TestServerPids().size() == 8;
    };
    const bool well = WaitFor(converged, seconds(90));
    EXPECT_TRUE(well) << node_->Containers().size() << " containers, " << node_->TestServerPids().size()
                      << " processes, " << DumpJson(node_->NodeStatus());
  }
}

TEST_F(DockerNodeTest, ContainersWithoutItsLabelAreNeverTouched) {
  StatusOr<DockerEngine::Answer> made = EngineWithImage()->Request(
      "POST", "/containers/create?name=somebody-elses",
      DumpJson({{"Image", EngineWithImage()->image()},
                {"Cmd", {"sleep", "600"}},
                {"HostConfig", {{"NetworkMode", "none"}}},
                {"Labels", {{"dev.mcpfleet.node", "another-node"}, {"dev.mcpfleet.instance", "other-1"}}}}));
  ASSERT_TRUE(made.ok() && made->status == 201) << made.status();
  StatusOr<DockerEngine::Answer> started = EngineWithImage()->Request("POST", "/containers/somebody-elses/start");
  ASSERT_TRUE(started.ok() && started->status == 204) << started.status();
  ASSERT_TRUE(node_->Apply({DockerServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/weather"}).ok());
  node_->Terminate();
  EXPECT_TRUE(node_->Drain().ok());
  StatusOr<DockerEngine::Answer> seen = EngineWithImage()->Request("GET", "/containers/somebody-elses/json");
  ASSERT_TRUE(seen.ok()) << seen.status();
  StatusOr<Json> container = ParseJson(seen->body);
  ASSERT_TRUE(container.ok());
  EXPECT_TRUE(GetBool(GetMember(*container, "State"), "Running")) << seen->body;
  EngineWithImage()->Request("DELETE", "/containers/somebody-elses?force=1").IgnoreError();
}

class ContainerdNodeTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    if (ContainerdWithImage() == nullptr) GTEST_SKIP() << WhyNoContainerd();
    node_ = std::make_unique<Node>(NodeOptions{.containerd = ContainerdWithImage()});
    node_->Start();
    ASSERT_FALSE(HasFatalFailure());
    std::vector<Json> manifests;
    manifests.reserve(kServers);
    for (int i = 0; i < kServers; ++i) manifests.push_back(ContainerdServer("s" + std::to_string(i)));
    ASSERT_TRUE(node_->Apply(manifests).ok());
  }
  void ExpectAllOnce() {
    const auto converged = [&] {
      int ready = 0;
      for (int i = 0; i < kServers; ++i) ready += node_->Condition("s" + std::to_string(i), "Ready") == "True/Ready";
      return ready == kServers && node_->Containers().size() == kServers && node_->TestServerPids().size() == kServers;
    };
    const bool well = WaitFor(converged, seconds(120));
    EXPECT_TRUE(well) << node_->Containers().size() << " containers, " << node_->TestServerPids().size()
                      << " processes, " << DumpJson(node_->NodeStatus());
  }
  static constexpr int kServers = 8;
  std::unique_ptr<Node> node_;
};

TEST_F(ContainerdNodeTest, ARestartOfContainerdUnderLoadMakesNoDuplicates) {
  ASSERT_TRUE(WaitFor([&] { return !node_->TestServerPids().empty(); }));
  const Status restarted = ContainerdWithImage()->Restart(SIGKILL);
  ASSERT_TRUE(restarted.ok()) << restarted;
  ExpectAllOnce();
}

TEST_F(ContainerdNodeTest, WhenAllShimsDieEveryServerComesBackOnce) {
  ExpectAllOnce();
  const std::vector<pid_t> before = node_->TestServerPids();
  EXPECT_EQ(ContainerdWithImage()->KillShims(), kServers);
  ASSERT_TRUE(WaitFor(
      [&] {
        const std::vector<pid_t> now = node_->TestServerPids();
        return std::none_of(before.begin(), before.end(),
                            [&](pid_t pid) { return std::find(now.begin(), now.end(), pid) != now.end(); });
      },
      seconds(120)));
  ExpectAllOnce();
}

class RemoteStoreTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    host_ = std::make_unique<Node>(NodeOptions{});
    host_->Start();
    ASSERT_FALSE(HasFatalFailure());
    // The edge has a token of its own: what a node does needs no more.
    const std::string token = host_->state() + "/edge.token";
    edge_ = std::make_unique<Node>(NodeOptions{.store_url = host_->store_url(), .store_token_file = token});
    const CommandResult created = host_->Mcpctl({"store", "token", "create", "--node", edge_->name(), "--out", token});
    ASSERT_TRUE(created.ok()) << created;
    edge_->Start();
  }
  Json OnEdge(const std::string& name, const std::string& version) const {
    return ProcessServer(name, {"--name", version},
                         {{"placement", {{"nodes", {edge_->name()}}}}, {"restartPolicy", {{"resetAfter", "1s"}}}});
  }
  std::string VersionOf(const std::string& server) {
    StatusOr<std::string> argv = ReadFile("/proc/" + std::to_string(edge_->ServerPid(server)) + "/cmdline", 4096);
    return argv.ok() ? *argv : "";
  }
  std::unique_ptr<Node> host_, edge_;
};

TEST_F(RemoteStoreTest, AnEdgeNodeLivesWithoutItsStoreAndCatchesUpAfterwards) {
  ASSERT_TRUE(host_->Apply({OnEdge("a", "one"), OnEdge("b", "one")}).ok());
  ASSERT_TRUE(edge_->WaitReady("a"));
  ASSERT_TRUE(edge_->WaitReady("b"));
  EXPECT_TRUE(host_->TestServerPids().empty());
  const CommandResult nodes = host_->Mcpctl({"get", "mcpnodes"});
  EXPECT_NE(nodes.out.find(edge_->name()), std::string::npos) << nodes;

  // News of the node are in the store within seconds: writing there costs nothing.
  EXPECT_TRUE(WaitFor(
      [&] {
        const CommandResult servers = host_->Mcpctl({"get", "mcpservers"});
        return servers.out.find("1/1") != std::string::npos && servers.out.find("0/1") == std::string::npos;
      },
      seconds(30)))
      << host_->Mcpctl({"get", "mcpservers"});

  host_->KillDash9();
  const pid_t a = edge_->ServerPid("a"), b = edge_->ServerPid("b");
  ASSERT_GT(a, 0);
  ASSERT_EQ(kill(a, SIGKILL), 0);
  EXPECT_TRUE(WaitFor([&] { return edge_->ServerPid("a") > 0 && edge_->ServerPid("a") != a; }));
  EXPECT_TRUE(edge_->WaitReady("a"));

  // A boot without the store: from the cache, and what runs is adopted.
  ASSERT_EQ(edge_->Terminate(), 0);
  edge_->Start();
  ASSERT_TRUE(edge_->WaitReady("a"));
  ASSERT_TRUE(edge_->WaitReady("b"));
  EXPECT_EQ(edge_->ServerPid("b"), b);

  host_->Start();
  const CommandResult applied = host_->Apply({OnEdge("a", "two")});
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_TRUE(WaitFor([&] { return VersionOf("a").find("two") != std::string::npos; }, seconds(90))) << VersionOf("a");
  EXPECT_EQ(edge_->ServerPid("b"), b);
  ASSERT_TRUE(host_->Mcpctl({"delete", "mcp/b", "--no-wait"}).ok());
  EXPECT_TRUE(WaitFor([&] { return kill(b, 0) != 0; }, seconds(90)));
}

}  // namespace
}  // namespace mcpfleet
