// Network Outbound with a namespace of its own, in a world that the test makes.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <optional>
#include <thread>

#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/package_tool.h"
#include "tests/edge-runtime/process/outside_world.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class OutboundTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (FindProgram("slirp4netns").empty() || access("/dev/net/tun", F_OK) != 0)
      GTEST_SKIP() << "slirp4netns or /dev/net/tun is missing (scripts/install-deps --test)";
    world_.emplace();
    world_->Make(state_);
    int port = 0;
    loopback_ = Bind(SOCK_STREAM, "127.0.0.1", &port);
    loopback_port_ = std::to_string(port);
    world_->Outside([&] { outside_ = Bind(SOCK_STREAM, "192.0.2.2", &(port = 0)); });
    outside_port_ = std::to_string(port);
  }
  void TearDown() override {
    ProcessTest::TearDown();
    world_.reset();
  }

  InstanceSpec Outbound(InstanceSpec spec) const {
    spec.spec.security.network = NetworkMode::kOutbound;
    return spec;
  }
  InstanceSpec Connects(const std::vector<std::string>& addresses) const {
    std::string list;
    for (const std::string& address : addresses) list += address + " ";
    return Instance("a", {"/usr/bin/python3", "-c",
                          "import socket, sys\nfor a in sys.argv[1].split():\n  h, p = a.split(':')\n  try:\n"
                          "    socket.create_connection((h, int(p)), 3)\n    print('reached', a)\n"
                          "  except OSError as e: print('no', a, e)\n",
                          list});
  }
  // The process beside the instance; 0 when there is none.
  int RelayOf(int monitor) const {
    int found = 0;
    DIR* proc = opendir("/proc");
    while (const dirent* entry = readdir(proc)) {
      StatusOr<std::string> status = ReadFile(std::string("/proc/") + entry->d_name + "/status", 1 << 16);
      if (status.ok() && Has(*status, "Name:\tslirp4netns\n") &&
          Has(*status, "PPid:\t" + std::to_string(monitor) + "\n"))
        found = std::atoi(entry->d_name);
    }
    closedir(proc);
    return found;
  }

  std::optional<OutsideWorld> world_;
  UniqueFd loopback_, outside_;
  std::string loopback_port_, outside_port_;
};

TEST_F(OutboundTest, TheOutsideIsReachedAndTheHostsLoopbackIsNot) {
  const std::string port = ":" + loopback_port_;
  const std::string out = OutputOf(Outbound(Connects(
      {"192.0.2.2:" + outside_port_, "127.0.0.1" + port, "10.0.2.2" + port, "10.0.2.3" + port, "0.0.0.0" + port})));
  EXPECT_TRUE(Has(out, "reached 192.0.2.2")) << out;
  EXPECT_TRUE(WasReached(outside_));
  for (const char* address : {"127.0.0.1", "10.0.2.2", "10.0.2.3", "0.0.0.0"})
    EXPECT_TRUE(Has(out, std::string("no ") + address + ":")) << out;
  EXPECT_FALSE(WasReached(loopback_));
  EXPECT_EQ(Report("a").unenforced, "");
}

TEST_F(OutboundTest, NamesAreResolvedByTheHostsResolverOnItsLoopback) {
  int port = 53, stop[2];
  const UniqueFd resolver = Bind(SOCK_DGRAM, "127.0.0.1", &port);
  ASSERT_EQ(pipe2(stop, O_CLOEXEC), 0);
  const UniqueFd stopped(stop[0]);
  UniqueFd stopper(stop[1]);
  std::thread server(AnswerNames, resolver.get(), stop[0]);
  const std::string out = OutputOf(Outbound(Connects({"outside.test:" + outside_port_})));
  stopper.Reset();
  server.join();
  EXPECT_TRUE(Has(out, "reached outside.test")) << out;
}

TEST_F(OutboundTest, WithoutANetworkNothingIsReached) {
  const std::string out = OutputOf(Connects({"192.0.2.2:" + outside_port_, "127.0.0.1:" + loopback_port_}));
  EXPECT_TRUE(Has(out, "no 192.0.2.2:") && Has(out, "no 127.0.0.1:")) << out;
  EXPECT_FALSE(WasReached(outside_) || WasReached(loopback_));
}

TEST_F(OutboundTest, WithoutSlirp4netnsTheLoopbackIsReachedWhichIsSaidAndRefusedWhenRequired) {
  options_.relay_binary = "no-such-slirp4netns";
  Recreate();
  InstanceSpec spec = Outbound(Connects({"127.0.0.1:" + loopback_port_}));
  const Status required = runtime_->Create(spec, Soon());
  EXPECT_EQ(required.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(required), "network Outbound") && Has(Message(required), "apt-get install slirp4netns"))
      << required;
  spec.spec.security.enforcement = Enforcement::kBestEffort;
  EXPECT_TRUE(Has(OutputOf(spec), "reached 127.0.0.1"));
  EXPECT_TRUE(Has(Report("a").unenforced, "apt-get install slirp4netns")) << Report("a").unenforced;
}

TEST_F(OutboundTest, AServerMayListenOnItsOwnLoopback) {
  const std::string out = OutputOf(Outbound(
      Shell("a", "(echo hi | nc -l -p 18123 127.0.0.1) & sleep 0.3; nc 127.0.0.1 18123 </dev/null; echo rc=$?")));
  EXPECT_TRUE(Has(out, "rc=0\n")) << out;
}

TEST_F(OutboundTest, TheRelayHasNoRightsNoDescriptorsAndIsInTheInstancesLimits) {
  const UniqueFd leak(open("/etc/passwd", O_RDONLY));  // deliberately without O_CLOEXEC
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  const std::string proc = "/proc/" + std::to_string(relay) + "/";
  // It makes its sandbox after the network is up.
  std::string status;
  EXPECT_TRUE(Eventually([&] {
    status = ReadFile(proc + "status", 1 << 16).value_or("");
    return Has(status, "Seccomp:\t2\n");
  })) << status;
  for (const char* line : {"CapEff:\t0000000000000400\n", "CapBnd:\t0000000000000400\n", "CapAmb:\t0000000000000000\n",
                           "NoNewPrivs:\t1\n"}) {
    EXPECT_TRUE(Has(status, line)) << line << status;
  }
  EXPECT_TRUE(Has(status, "NSpid:\t" + std::to_string(relay) + "\t1\n")) << "it sees the host's processes";
  EXPECT_TRUE(Has(ReadFile(proc + "cgroup", 1 << 16).value_or(""), "/a\n"));
  for (int fd = 0; fd < 64; ++fd) {
    const std::string path = proc + "fd/" + std::to_string(fd);
    char target[512] = "";
    struct stat st;
    if (readlink(path.c_str(), target, sizeof target - 1) <= 0 || stat(path.c_str(), &st) != 0) continue;
    const bool null_or_tun = S_ISCHR(st.st_mode) && (st.st_rdev == makedev(1, 3) || st.st_rdev == makedev(10, 200));
    const std::string_view name = target;
    EXPECT_TRUE(null_or_tun || name.starts_with("/memfd:relay") || name.starts_with("net:[") ||
                name.starts_with("socket:["))
        << fd << " is " << name;
  }
  EXPECT_NE(access((proc + "root/usr").c_str(), F_OK), 0) << "it sees the host's files";
}

TEST_F(OutboundTest, TheRelayOutlivesMcpletAndEndsWithTheInstance) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  ASSERT_GT(relay, 0);
  Recreate();
  EXPECT_EQ(RelayOf(MonitorOf("a")), relay);
  EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  EXPECT_NE(kill(relay, 0), 0) << "it is still there after Stop";
}

TEST_F(OutboundTest, TheRelayDiesWithItsMonitor) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int monitor = MonitorOf("a"), relay = RelayOf(monitor);
  ASSERT_GT(relay, 0);
  ASSERT_EQ(kill(monitor, SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return kill(relay, 0) != 0; }));
}

TEST_F(OutboundTest, AnInstanceWhoseRelayDiesEndsAndItsLogSaysWhy) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  ASSERT_GT(relay, 0);
  ASSERT_EQ(kill(relay, SIGKILL), 0);
  const InstanceReport report = WaitForExit("a");
  ASSERT_TRUE(report.exit.has_value());
  EXPECT_EQ(report.exit->signal, SIGKILL);
  EXPECT_FALSE(report.exit->oom);
  EXPECT_TRUE(Has(LogText("a"), "slirp4netns ended, and the instance with it")) << LogText("a");
}

TEST_F(OutboundTest, ARelayThatCannotStartIsAnErrorOfStart) {
  options_.relay_binary = "/usr/bin/false";
  Recreate();
  const Status status = Run(Outbound(Shell("a", "sleep 1000")));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(status), "network:")) << status;
  EXPECT_EQ(Report("a").state, InstanceState::kCreated);
}

}  // namespace
}  // namespace mcpfleet
