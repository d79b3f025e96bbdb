// Programs of the node, with the stand-in for cloudflared: what it reaches from where it runs. In a world that the test
// makes: the internet is 203.0.113.10, behind a router in the host's own network.
#include "edge-runtime/process/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <optional>
#include <thread>

#include "base/strings.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/local_networks.h"
#include "edge-runtime/process/package_tool.h"
#include "tests/edge-runtime/process/outside_world.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

constexpr char kTunnelId[] = "6ff42ae2-765d-4adf-8112-31c55c1551ef";

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class ProgramsTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Renew();
    ASSERT_TRUE(MakeDirectories(state_ + "/gateway", 0711).ok());
  }
  void TearDown() override {
    if (programs_) {
      for (const char* id : {"a", "b"}) EXPECT_TRUE(programs_->Remove(id, Soon()).ok());
    }
    ProcessTest::TearDown();
  }

  // As mcplet after a restart.
  void Renew() {
    programs_.emplace(ProgramsOptions{.directory = state_ + "/programs",
                                      .state_directory = state_,
                                      .sandbox_binary = options_.sandbox_binary,
                                      .cgroup_parent = options_.cgroup_parent});
  }
  // The stand-in, whose credentials have `more` beside what a tunnel has.
  ProgramSpec Cloudflared(const std::string& id, const std::string& more = "") const {
    return {.id = id,
            .program = std::string(MCPFLEET_SOURCE_DIR) + "/tests/fakes/cloudflared.py",
            .arguments = {"tunnel", "--config", "/files/config.yml", "--metrics", "127.0.0.1:20241", "run",
                          "--credentials-file", "/files/credentials.json", kTunnelId},
            .environment = {"PATH=/usr/bin:/bin"},
            .binds = {{.source = state_ + "/gateway", .target = "/gateway"}},
            .files = {{"config.yml",
                       "ingress:\n  - hostname: \"a.example.com\"\n    service: \"unix:/gateway/gateway.sock\"\n"
                       "  - service: \"http_status:404\"\n"},
                      {"credentials.json", std::string(R"({"TunnelID":")") + kTunnelId + "\"" + more + "}"}},
            .own_network = true};
  }
  ProgramReport Report(const std::string& id) {
    const auto all = programs_->List();
    EXPECT_TRUE(all.ok()) << all.status();
    for (const ProgramReport& report : *all) {
      if (report.id == id) return report;
    }
    return {};
  }
  std::string Log(const std::string& id) const {
    return ReadFile(state_ + "/programs/" + id + "/log", 1 << 20).value_or("");
  }
  // Its log once it has done what its credentials asked for.
  std::string Done(const std::string& id) const {
    EXPECT_TRUE(Eventually([&] { return Has(Log(id), " done\n"); })) << Log(id);
    return Log(id);
  }

  std::optional<Programs> programs_;
};

class ProgramsInAWorldTest : public ProgramsTest {
 protected:
  void SetUp() override {
    ProgramsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (const std::string problem = programs_->NoOwnNetwork(); !problem.empty()) GTEST_SKIP() << problem;
    world_.emplace();
    world_->Make(state_);
    ASSERT_TRUE(Ip("route add default via 192.0.2.2"));
    admin_ = Bind(SOCK_STREAM, "127.0.0.1", &admin_port_);
    int ssh = 22;
    ssh_ = Bind(SOCK_STREAM, "0.0.0.0", &ssh);
    world_->Outside([&] {
      ASSERT_TRUE(Ip("addr add 203.0.113.10/32 dev veth0") && Ip("addr add 192.168.7.7/32 dev veth0"));
      int port = 443;
      internet_ = Bind(SOCK_STREAM, "203.0.113.10", &port);
      lan_ = Bind(SOCK_STREAM, "192.0.2.2", &(port = 80));
      private_ = Bind(SOCK_STREAM, "192.168.7.7", &(port = 80));
    });
  }
  void TearDown() override {
    ProgramsTest::TearDown();
    world_.reset();
  }
  std::string Local(const std::string& address) const { return address + ":" + std::to_string(admin_port_); }

  std::optional<OutsideWorld> world_;
  UniqueFd admin_, ssh_, internet_, lan_, private_;
  int admin_port_ = 0;
};

std::string Probes(const std::vector<std::string>& addresses) {
  return R"(,"Probe":[")" + Join(addresses, "\",\"") + "\"]";
}

TEST_F(ProgramsInAWorldTest, TheInternetIsReachedAndNothingOfThisMachineAndItsNetwork) {
  const StatusOr<std::vector<std::string>> local = LocalNetworks();
  ASSERT_TRUE(local.ok()) << local.status();
  const std::vector<std::string> refused = {
      Local("127.0.0.1"), Local("10.0.2.2"), Local("10.0.2.3"), Local("192.0.2.1"), "127.0.0.1:22", "192.0.2.1:22",
      "10.0.2.2:22", "10.0.2.3:22", "192.0.2.2:80", "192.168.7.7:80",
      // By the device the kernel asks no route: then nobody must answer for the address.
      "eth0=192.0.2.1:22", "eth0=192.0.2.2:80", "eth0=192.168.7.7:80", "eth0=10.0.2.2:22"};
  std::vector<std::string> all = refused;
  all.emplace_back("203.0.113.10:443");
  ProgramSpec spec = Cloudflared("a", Probes(all));
  spec.unreachable = *local;
  const Status started = programs_->Start(spec, Soon());
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_TRUE(Eventually([&] { return Has(Log("a"), " done\n"); })) << Log("a");
  const std::string log = Log("a");
  EXPECT_TRUE(Has(log, "probe 203.0.113.10:443 reached")) << log;
  EXPECT_TRUE(WasReached(internet_));
  for (const std::string& address : refused)
    EXPECT_TRUE(Has(log, "probe " + address + " refused")) << address << "\n" << log;
  for (const UniqueFd* fd : {&admin_, &ssh_, &lan_, &private_}) EXPECT_FALSE(WasReached(*fd));
}

// What makes the test above worth something: without the routes all but the loopback is reached.
TEST_F(ProgramsInAWorldTest, WithoutThatTheNetworkOfThisMachineWouldBeReached) {
  ASSERT_TRUE(programs_->Start(Cloudflared("a", Probes({"192.0.2.1:22", "192.0.2.2:80"})), Soon()).ok());
  const std::string log = Done("a");
  EXPECT_TRUE(Has(log, "probe 192.0.2.1:22 reached") && Has(log, "probe 192.0.2.2:80 reached")) << log;
}

TEST_F(ProgramsInAWorldTest, NamesAreResolvedThoughTheResolverIsLocal) {
  int port = 53, stop[2];
  const UniqueFd resolver = Bind(SOCK_DGRAM, "127.0.0.1", &port);
  ASSERT_EQ(pipe2(stop, O_CLOEXEC), 0);
  const UniqueFd stopped(stop[0]);
  UniqueFd stopper(stop[1]);
  std::thread server(AnswerNames, resolver.get(), stop[0]);
  ProgramSpec spec = Cloudflared("a", R"(,"Names":["outside.test"])");
  spec.unreachable = LocalNetworks().value_or(std::vector<std::string>());
  EXPECT_TRUE(programs_->Start(spec, Soon()).ok());
  const std::string log = Done("a");
  stopper.Reset();
  server.join();
  EXPECT_TRUE(Has(log, "name outside.test 192.0.2.2")) << log;
}

TEST_F(ProgramsInAWorldTest, TheGatewaysSocketIsReachedAlsoOneThatIsMadeAnew) {
  ASSERT_TRUE(programs_->Start(Cloudflared("a", R"(,"Ask":"/x")"), Soon()).ok());
  ASSERT_TRUE(Eventually([&] { return Has(Log("a"), "gateway a.example.com [Errno"); })) << Log("a");
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  const std::string path = state_ + "/gateway/gateway.sock";
  path.copy(at.sun_path, path.size());
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  ASSERT_TRUE(PollFd(listener.get(), POLLIN, Soon()).ok());
  const UniqueFd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char request[512] = "";
  ASSERT_GT(read(peer.get(), request, sizeof request - 1), 0);
  EXPECT_TRUE(Has(request, "GET /x HTTP/1.1\r\n") && Has(request, "Host: a.example.com\r\n")) << request;
  ASSERT_TRUE(WriteAll(peer.get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Soon()).ok());
  EXPECT_TRUE(Has(Done("a"), "gateway a.example.com 200"));
}

TEST_F(ProgramsTest, OneOutlivesMcpletAndEndsWhenItIsAskedTo) {
  ProgramSpec spec = Cloudflared("a");
  spec.own_network = programs_->NoOwnNetwork().empty();
  ASSERT_TRUE(programs_->Start(spec, Soon()).ok());
  (void)Done("a");
  const int pid = Report("a").pid;
  Renew();
  EXPECT_TRUE(programs_->Start(spec, Soon()).ok()) << "it runs already";
  EXPECT_EQ(Report("a").pid, pid);
  EXPECT_TRUE(Report("a").running);
  programs_->Terminate("a");
  EXPECT_TRUE(Eventually([&] { return !Report("a").running; }));
  ASSERT_TRUE(Report("a").exit.has_value());
  EXPECT_EQ(Report("a").exit->code, 0);
  EXPECT_EQ(programs_->LastWords("a"), "terminated");
  EXPECT_TRUE(programs_->Start(spec, Soon()).ok());
  EXPECT_TRUE(Report("a").running);
  EXPECT_FALSE(Report("a").exit.has_value());
  EXPECT_TRUE(programs_->Remove("a", Soon()).ok());
  EXPECT_EQ(Report("a").id, "");
  EXPECT_NE(access((state_ + "/programs/a").c_str(), F_OK), 0);
}

TEST_F(ProgramsTest, HowOneEndedByItselfIsTold) {
  ProgramSpec spec = Cloudflared("a", R"(,"Exit":3)");
  spec.own_network = programs_->NoOwnNetwork().empty();
  ASSERT_TRUE(programs_->Start(spec, Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return Report("a").exit.has_value(); }));
  EXPECT_EQ(Report("a").exit->code, 3);
  EXPECT_EQ(programs_->LastWords("a"), "cannot go on");
}

TEST_F(ProgramsTest, ItsSecretsAreForItAloneAndItHasNoRights) {
  ProgramSpec spec = Cloudflared("a");
  spec.own_network = programs_->NoOwnNetwork().empty();
  ASSERT_TRUE(programs_->Start(spec, Soon()).ok());
  (void)Done("a");
  struct stat info {};
  ASSERT_EQ(stat((state_ + "/programs").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat((state_ + "/programs/a/files/credentials.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0400u);
  EXPECT_EQ(info.st_uid, 65534u);
  const std::string status = ReadFile("/proc/" + std::to_string(Report("a").pid) + "/status", 1 << 16).value_or("");
  for (const char* line : {"Uid:\t65534\t65534\t65534\t65534\n", "CapEff:\t0000000000000000\n",
                           "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"}) {
    EXPECT_TRUE(Has(status, line)) << line << status;
  }
}

TEST_F(ProgramsTest, WithoutARelayThereIsNoNetworkOfItsOwn) {
  programs_.emplace(ProgramsOptions{.directory = state_ + "/programs",
                                    .state_directory = state_,
                                    .sandbox_binary = options_.sandbox_binary,
                                    .cgroup_parent = options_.cgroup_parent,
                                    .relay_binary = "no-such-slirp4netns"});
  EXPECT_TRUE(Has(programs_->NoOwnNetwork(), "apt-get install slirp4netns"));
  const Status refused = programs_->Start(Cloudflared("a"), Soon());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_EQ(Report("a").id, "");
}

}  // namespace
}  // namespace mcpfleet
