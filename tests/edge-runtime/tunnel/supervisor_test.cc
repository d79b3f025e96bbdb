#include "edge-runtime/tunnel/supervisor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <map>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/http/server.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::tunnel {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Names = std::vector<std::string>;

constexpr char kCredentials[] =
    R"({"AccountTag":"abc","TunnelSecret":"c2VjcmV0","TunnelID":"6ff42ae2-765d-4adf-8112-31c55c1551ef"})";

// Connectors whose metrics server answers as it is told. Refuses what the real one refuses: a second start of an id is
// OK only while it runs, and what does not run has no metrics.
class FakeHost final : public ConnectorHost {
 public:
  struct Connector {
    ConnectorSpec spec;
    bool running = true;
    std::atomic<bool> connected{true};
    int starts = 1;
    std::string ended;
    bool terminated = false;
    std::unique_ptr<http::Server> metrics;
  };

  StatusOr<ConnectorPlace> Place() override {
    if (!place.ok()) return place;
    return ConnectorPlace{.fingerprint = fingerprint, .unenforced = unenforced};
  }
  StatusOr<std::vector<ConnectorReport>> List() override {
    std::vector<ConnectorReport> reports;
    for (const auto& [id, connector] : connectors)
      reports.push_back({.id = id, .running = connector.running, .ended = connector.ended});
    return reports;
  }
  Status Start(const ConnectorSpec& spec, Deadline) override {
    if (!start.ok()) return start;
    const auto [it, added] = connectors.try_emplace(spec.id);
    Connector& connector = it->second;
    if (!added) {
      connector.starts += connector.running ? 0 : 1;
      connector.running = true;
      return OkStatus();
    }
    connector.spec = spec;
    connector.metrics = *http::Server::Create(
        {}, [this, &connector](http::Request& request, const std::shared_ptr<http::Responder>& to) {
          if (request.target == "/ready")
            return to->Send(http::JsonResponse(connector.connected ? 200 : 503, R"({"readyConnections":2})"));
          to->Send(http::JsonResponse(config.empty() ? 404 : 200, config));
        });
    return OkStatus();
  }
  void Terminate(const std::string& id) override { connectors.at(id).terminated = true; }
  Status Remove(const std::string& id, Deadline) override {
    connectors.erase(id);
    return OkStatus();
  }
  StatusOr<UniqueFd> ConnectToMetrics(const std::string& id, Deadline) override {
    if (!connectors.contains(id) || !connectors.at(id).running) return NotFound(id);
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(connectors.at(id).metrics->port());
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) return ErrnoStatus(errno, id);
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
  }
  void End(const std::string& id, const std::string& how) {
    connectors.at(id).running = false;
    connectors.at(id).ended = how;
  }
  Connector& Only() {
    EXPECT_EQ(connectors.size(), 1u);
    return connectors.begin()->second;
  }

  std::map<std::string, Connector> connectors;
  Status place = OkStatus(), start = OkStatus();
  std::string fingerprint = "here", unenforced, config;
};

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() {
    char directory[] = "/tmp/mcpfleet-tunnel-XXXXXX";
    EXPECT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    options_ = {.mode = Mode::kManaged,
                .credentials_file = directory_ + "/credentials.json",
                .ingress_file = directory_ + "/cloudflared.yml",
                .metrics_host = {}};
    WriteCredentials(kCredentials);
  }
  ~SupervisorTest() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  void WriteCredentials(const std::string& text) const {
    EXPECT_TRUE(WriteFileAtomically(options_.credentials_file, text).ok());
  }
  // A new supervisor over the same connectors: as the next mcplet.
  Supervisor& Make(const Names& hostnames) {
    supervisor_ = std::make_unique<Supervisor>(
        options_, SupervisorDeps{.host = &host_,
                                 .clock = clock_,
                                 .gateway = [this] { return GatewayOrigin{.address = "127.0.0.1", .port = port_}; },
                                 .changed = [this] { ++changes_; }});
    supervisor_->SetHostnames(hostnames);
    return *supervisor_;
  }
  std::string Reason() const { return supervisor_->state().reason; }
  std::set<std::string> Served() const { return supervisor_->state().served; }

  std::string directory_;
  FakeClock clock_;
  FakeHost host_;
  uint16_t port_ = 8700;
  SupervisorOptions options_;
  int changes_ = 0;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, CloudflaredStartsWithTheFirstHostnameAndServesItOnceItIsConnected) {
  Supervisor& supervisor = Make({});
  EXPECT_FALSE(supervisor.Look());
  EXPECT_EQ(Reason(), "NothingExposed");
  EXPECT_EQ(supervisor.state().ready, ConditionStatus::kTrue);
  supervisor.SetHostnames({"a.example.com"});
  EXPECT_TRUE(supervisor.Look());
  EXPECT_EQ(Reason(), "NotRunning");
  const ConnectorSpec& spec = host_.Only().spec;
  EXPECT_NE(spec.config.find("hostname: \"a.example.com\"\n    service: \"unix:/gateway/gateway.sock\""),
            std::string::npos);
  EXPECT_TRUE(spec.config.ends_with("  - service: \"http_status:404\"\n"));
  EXPECT_EQ(spec.credentials, kCredentials);
  EXPECT_EQ(Join(spec.arguments, " "),
            "tunnel --config /files/config.yml --no-autoupdate --metrics 127.0.0.1:20241 --grace-period 25s run "
            "--credentials-file /files/credentials.json 6ff42ae2-765d-4adf-8112-31c55c1551ef");
  EXPECT_FALSE(supervisor.Look());
  EXPECT_EQ(Reason(), "Connected");
  EXPECT_EQ(supervisor.state().message, "2 connections to Cloudflare");
  EXPECT_EQ(Served(), std::set<std::string>{"a.example.com"});
  EXPECT_EQ(changes_, 3);
}

TEST_F(SupervisorTest, NoSecretIsInTheArgumentsNorInTheEnvironment) {
  Make({"a.example.com"}).Look();
  for (const auto* words : {&host_.Only().spec.arguments, &host_.Only().spec.environment})
    EXPECT_EQ(Join(*words, " ").find("c2VjcmV0"), std::string::npos);
}

TEST_F(SupervisorTest, OneThatRunsIsAdoptedByTheNextMcplet) {
  Make({"a.example.com"}).Look();
  Make({"a.example.com"}).Look();
  EXPECT_EQ(Reason(), "Connected");
  EXPECT_EQ(host_.Only().starts, 1);
  EXPECT_EQ(supervisor_->restarts(), 0);
}

TEST_F(SupervisorTest, ANewNameTakesANewConnectorBesideTheOldOneWhichEndsOnceThatIsConnected) {
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  supervisor.Look();
  const std::string old = host_.connectors.begin()->first;
  host_.config =
      R"({"version":-1,"config":{"ingress":[{"hostname":"a.example.com","service":"unix:/gateway/gateway.sock"}]}})";
  supervisor.SetHostnames({"a.example.com", "b.example.com"});
  EXPECT_TRUE(supervisor.Look());
  ASSERT_EQ(host_.connectors.size(), 2u);
  EXPECT_EQ(Served(), std::set<std::string>{"a.example.com"}) << "the old one goes on";
  FakeHost::Connector* fresh = nullptr;
  for (auto& [id, connector] : host_.connectors) {
    if (id != old) fresh = &connector;
  }
  fresh->connected = false;
  supervisor.Look();
  EXPECT_FALSE(host_.connectors.at(old).terminated);
  EXPECT_EQ(Reason(), "Connected");
  EXPECT_EQ(Served(), std::set<std::string>{"a.example.com"});
  fresh->connected = true;
  host_.config = "";
  supervisor.Look();
  EXPECT_TRUE(host_.connectors.at(old).terminated);
  EXPECT_EQ(Served(), (std::set<std::string>{"a.example.com", "b.example.com"}));
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 2u) << "it has its grace";
  clock_.Advance(kGrace);
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 1u);
  EXPECT_EQ(supervisor.restarts(), 0);
}

TEST_F(SupervisorTest, OneThatFallsIsStartedAgainWithABackOffAndItsLastWordsAreTold) {
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  supervisor.Look();
  const std::string id = host_.connectors.begin()->first;
  clock_.Advance(minutes(2));
  host_.End(id, "exited with code 1: no route");
  supervisor.Look();
  EXPECT_EQ(host_.Only().starts, 2) << "at once: it had lived";
  EXPECT_EQ(supervisor.restarts(), 1);
  host_.End(id, "exited with code 1: no route");
  EXPECT_TRUE(supervisor.Look());
  EXPECT_EQ(host_.Only().starts, 2);
  EXPECT_EQ(Reason(), "NotRunning");
  EXPECT_EQ(supervisor.state().message, "cloudflared exited with code 1: no route");
  EXPECT_TRUE(Served().empty());
  clock_.Advance(seconds(1));
  supervisor.Look();
  EXPECT_EQ(host_.Only().starts, 3);
  EXPECT_EQ(supervisor.restarts(), 2);
}

TEST_F(SupervisorTest, OneThatLosesCloudflareServesNothing) {
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  host_.Only().connected = false;
  EXPECT_TRUE(supervisor.Look());
  EXPECT_EQ(Reason(), "NotConnected");
  EXPECT_TRUE(Served().empty());
}

TEST_F(SupervisorTest, WhatCannotBeStartedIsTriedAgainLater) {
  host_.start = Unavailable("no room");
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  EXPECT_EQ(supervisor.state().message, "cloudflared can't be started: no room");
  host_.start = OkStatus();
  supervisor.Look();
  EXPECT_TRUE(host_.connectors.empty()) << "not at once";
  clock_.Advance(seconds(1));
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 1u);
}

TEST_F(SupervisorTest, WithoutAPlaceOrCredentialsNothingStartsAndWhatRunsIsLeft) {
  host_.place = FailedPrecondition("apt-get install slirp4netns");
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  EXPECT_TRUE(host_.connectors.empty());
  EXPECT_EQ(Reason(), "CannotRun");
  EXPECT_EQ(supervisor.state().message, "apt-get install slirp4netns");
  host_.place = OkStatus();
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 1u);
  WriteCredentials("{}");
  supervisor.Look();
  EXPECT_EQ(Reason(), "CredentialsNotUsable");
  EXPECT_NE(supervisor.state().message.find("credentials.json: TunnelID is missing"), std::string::npos)
      << supervisor.state().message;
  EXPECT_FALSE(host_.Only().terminated);
  unlink(options_.credentials_file.c_str());
  supervisor.Look();
  EXPECT_EQ(Reason(), "CredentialsNotUsable");
}

TEST_F(SupervisorTest, AnotherPlaceOrOtherCredentialsTakeANewConnector) {
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  host_.fingerprint = "an upgraded cloudflared";
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 2u);
  WriteCredentials(std::string(kCredentials) + " ");
  supervisor.Look();
  EXPECT_EQ(host_.connectors.size(), 3u);
}

TEST_F(SupervisorTest, WhereItIsNotIsolatedThatIsSaid) {
  host_.unenforced = "cloudflared is in this node's network";
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  EXPECT_EQ(Join(host_.Only().spec.environment, " ").find("EDGE_IP_VERSION"), std::string::npos);
  supervisor.Look();
  EXPECT_EQ(Reason(), "NotIsolated");
  EXPECT_EQ(supervisor.state().ready, ConditionStatus::kTrue);
  EXPECT_EQ(supervisor.state().message, "2 connections to Cloudflare; cloudflared is in this node's network");
}

TEST_F(SupervisorTest, AConfigurationThatCameFromCloudflareIsNotOurs) {
  host_.config = R"({"version":3,"config":{"ingress":[{"hostname":"a.example.com","service":"http://192.168.0.1"}]}})";
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  supervisor.Look();
  EXPECT_EQ(Reason(), "RemoteConfiguration");
  EXPECT_EQ(supervisor.state().ready, ConditionStatus::kFalse);
  EXPECT_TRUE(Served().empty());
}

TEST_F(SupervisorTest, WithTheLastNameGoneCloudflaredEnds) {
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  supervisor.SetHostnames({});
  supervisor.Look();
  EXPECT_TRUE(host_.Only().terminated);
  EXPECT_EQ(Reason(), "NothingExposed");
}

TEST_F(SupervisorTest, ANodeWhoseTunnelIsOffEndsWhatAnEarlierConfigurationLeft) {
  Make({"a.example.com"}).Look();
  options_.mode = Mode::kOff;
  Make({"a.example.com"}).Look();
  EXPECT_TRUE(host_.connectors.empty());
  EXPECT_EQ(access(options_.ingress_file.c_str(), F_OK), -1);
}

TEST_F(SupervisorTest, AnExternalTunnelGetsItsFileAndIsUnknownUntilItIsShown) {
  options_.mode = Mode::kExternal;
  port_ = 0;
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  EXPECT_EQ(Reason(), "IngressNotWritten");
  port_ = 8700;
  supervisor.Look();
  EXPECT_EQ(Reason(), "ExternallyManaged");
  EXPECT_EQ(supervisor.state().ready, ConditionStatus::kUnknown);
  EXPECT_EQ(*ReadFile(options_.ingress_file, 4096),
            *IngressFile({"a.example.com"}, {.address = "127.0.0.1", .port = 8700}));
  struct stat info {};
  ASSERT_EQ(stat(options_.ingress_file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u) << "another user's cloudflared reads it";
}

TEST_F(SupervisorTest, AnExternalTunnelThatIsShownServesWhatItRunsWith) {
  std::string config = R"({"version":-1,"config":{"ingress":[]}})";
  auto server = *http::Server::Create({}, [&](http::Request& request, const std::shared_ptr<http::Responder>& to) {
    to->Send(http::JsonResponse(request.target == "/ready" || !config.empty() ? 200 : 404,
                                request.target == "/ready" ? R"({"readyConnections":1})" : config));
  });
  options_.mode = Mode::kExternal;
  options_.metrics_host = "127.0.0.1";
  options_.metrics_port = server->port();
  Supervisor& supervisor = Make({"a.example.com"});
  supervisor.Look();
  EXPECT_EQ(Reason(), "Connected");
  EXPECT_TRUE(Served().empty());
  EXPECT_NE(supervisor.state().message.find("restart it"), std::string::npos) << supervisor.state().message;
  config = R"({"version":-1,"config":{"ingress":[{"hostname":"a.example.com","service":"http://127.0.0.1:8700"}]}})";
  supervisor.Look();
  EXPECT_EQ(Served(), std::set<std::string>{"a.example.com"});
  EXPECT_EQ(supervisor.state().message, "1 connection to Cloudflare");
  config = "";
  supervisor.Look();
  EXPECT_EQ(Reason(), "ConfigurationUnknown");
  server.reset();
  supervisor.Look();
  EXPECT_EQ(Reason(), "NotConnected");
}

TEST_F(SupervisorTest, ItsThreadLooksAtOnceWhenSomethingWasSet) {
  options_.look = minutes(10);
  options_.next_look = std::chrono::milliseconds(10);
  Supervisor& supervisor = Make({});
  supervisor.Start();
  supervisor.SetHostnames({"a.example.com"});
  const Deadline deadline = Deadline::After(seconds(20));
  while (supervisor.state().reason != "Connected" && !deadline.Expired()) usleep(2000);
  EXPECT_EQ(Reason(), "Connected");
  supervisor.Stop();
  EXPECT_EQ(host_.Only().starts, 1);
  EXPECT_TRUE(supervisor.EndAll(Deadline::After(seconds(5))).ok());
  EXPECT_TRUE(host_.connectors.empty());
}

}  // namespace
}  // namespace mcpfleet::tunnel
