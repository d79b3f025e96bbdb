// The three networks of a server, with the real CNI plugins.
#include <signal.h>
#include <sys/wait.h>

#include "edge-runtime/containerd/network.h"
#include "tests/edge-runtime/containerd/containerd_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class ContainerdNetworkTest : public ContainerdTest {
 protected:
  void SetUp() override {
    ContainerdTest::SetUp();
    if (IsSkipped()) return;
    if (const std::string why = Net().WhyNot(); !why.empty()) GTEST_SKIP() << "NO CNI PLUGINS, TESTS NOT RUN: " << why;
  }
  void TearDown() override {
    ContainerdTest::TearDown();
    // The bridge of this test process.
    if (engine_ != nullptr) Shell({"/sbin/ip", "link", "delete", Options().network.bridge});
  }
  containerd::Network Net() const {
    containerd::NetworkOptions options = Options().network;
    options.state_directory = state_ + "/containerd";
    return containerd::Network(options);
  }
  static void Shell(const std::vector<std::string>& args) {
    const pid_t pid = fork();
    if (pid == 0) {
      std::vector<char*> argv;
      for (const std::string& each : args) argv.push_back(const_cast<char*>(each.c_str()));
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    waitpid(pid, nullptr, 0);
  }
};
INSTANTIATE_TEST_SUITE_P(All, ContainerdNetworkTest, testing::Values("1.6", "1.7", "2"), VersionName);

TEST_P(ContainerdNetworkTest, OutboundHasAnAddressBehindTheBridgeAndGivesItBack) {
  InstanceSpec spec =
      Spec("out", "ip addr >&2; ip route >&2; cat /etc/resolv.conf >&2; echo ready >&2; " + std::string(kForever));
  spec.spec.security.network = NetworkMode::kOutbound;
  Run(spec);
  ASSERT_TRUE(Logged("out", "ready"));
  const std::string log = LogOf("out");
  EXPECT_NE(log.find("inet 10.213.0."), std::string::npos) << log;
  EXPECT_NE(log.find("default via 10.213.0.1"), std::string::npos) << log;
  EXPECT_NE(log.find("nameserver"), std::string::npos) << log;
  EXPECT_EQ(Net().Holders(), std::vector<std::string>{"out"});
  // A new incarnation has an address too, and the old one's is not kept.
  ASSERT_TRUE(runtime_->Stop("out", seconds(5), Soon()).ok());
  ASSERT_TRUE(runtime_->Start("out", Soon()).ok());
  ASSERT_TRUE(Logged("out", "ready"));
  EXPECT_EQ(Net().Holders(), std::vector<std::string>{"out"});
  ASSERT_TRUE(runtime_->Remove("out", Soon()).ok());
  EXPECT_EQ(Net().Holders(), std::vector<std::string>{});
}

TEST_P(ContainerdNetworkTest, TwoServersOutboundHaveTwoAddressesAndNoneTheHosts) {
  for (const char* id : {"a", "b"}) {
    InstanceSpec spec = Spec(id, "ip -4 -o addr >&2; echo ready >&2; " + std::string(kForever));
    spec.spec.security.network = NetworkMode::kOutbound;
    Run(spec);
    ASSERT_TRUE(Logged(id, "ready"));
    EXPECT_EQ(LogOf(id).find(Options().network.bridge), std::string::npos);
  }
  EXPECT_EQ(Net().Holders().size(), 2U);
}

TEST_P(ContainerdNetworkTest, HostIsTheHostsOwnAndNoneHasLoopbackAlone) {
  InstanceSpec host = Spec("host", "readlink /proc/self/ns/net >&2; echo ready >&2; " + std::string(kForever));
  host.spec.security.network = NetworkMode::kHost;
  Run(host);
  ASSERT_TRUE(Logged("host", "ready"));
  char ours[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/net", ours, sizeof ours - 1), 0);
  EXPECT_NE(LogOf("host").find(ours), std::string::npos);
  Run(Spec("none", "ip -o link >&2; ping -c 1 127.0.0.1 >&2; echo ready >&2; " + std::string(kForever)));
  ASSERT_TRUE(Logged("none", "ready"));
  EXPECT_NE(LogOf("none").find("lo:"), std::string::npos);
  EXPECT_EQ(LogOf("none").find("eth0"), std::string::npos);
}

TEST_P(ContainerdNetworkTest, AnAddressThatACrashLeftIsGivenBack) {
  InstanceSpec spec = Spec("crashed", kForever);
  spec.spec.security.network = NetworkMode::kOutbound;
  Run(spec);
  // All of it by hand, the directory too; only the address is left.
  Ctr({"tasks", "kill", "--signal", "SIGKILL", "crashed"});
  Await("crashed", InstanceState::kExited);
  Ctr({"tasks", "delete", "crashed"});
  Ctr({"containers", "delete", "crashed"});
  EXPECT_EQ(Net().Holders(), std::vector<std::string>{"crashed"});
  runtime_ = Open();
  const Status collected = runtime_->CollectArtifacts({}, int64_t{1} << 40, Soon());
  EXPECT_TRUE(collected.ok()) << collected;
  EXPECT_EQ(Net().Holders(), std::vector<std::string>{});
}

TEST_P(ContainerdNetworkTest, WithoutPluginsAServerOutboundIsRefusedAndOthersRun) {
  ContainerdOptions options = Options();
  options.network.plugin_directories = {"/nowhere"};
  runtime_ = ContainerdRuntime::Create(options, clock_).value();
  InstanceSpec spec = Spec("refused", kForever);
  Run(spec);
  spec.id = "outbound";
  spec.spec.security.network = NetworkMode::kOutbound;
  const Status status = runtime_->Create(spec, Soon());
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("containernetworking-plugins"), std::string::npos) << status;
}

}  // namespace
}  // namespace mcpfleet
