// A node whose tunnel is run by mcplet, with the stand-in for cloudflared (tests/fakes/cloudflared.py): what is
// exposed, what comes in by it, and that nothing else of the node is reached from where it runs.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/http/client.h"
#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr char kTunnelId[] = "6ff42ae2-765d-4adf-8112-31c55c1551ef";

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Json Exposed(const std::string& hostname, Json more = Json::object()) {
  more["expose"] = {{"hostname", hostname}};
  return more;
}
Json Bearer(const std::string& token) {
  return {{"auth", {{"type", "Bearer"}, {"bearer", {{"tokens", {{{"name", "ci"}, {"sha256", Sha256Hex(token)}}}}}}}}};
}

// An address of this machine that is none of its loopback's; "" when it has none.
std::string OwnAddress() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "";
  std::string found;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    if (!std::string(text).starts_with("127.")) found = text;
  }
  freeifaddrs(list);
  return found;
}

class TunnelTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    if (access("/dev/net/tun", F_OK) != 0 || access("/usr/bin/slirp4netns", X_OK) != 0)
      GTEST_SKIP() << "slirp4netns or /dev/net/tun is missing (scripts/install-deps --test)";
    char directory[] = "/tmp/mcpfleet-tunnel-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    files_ = directory;
    WriteCredentials("");
  }
  void TearDown() override {
    behind_.reset();
    node_.reset();
    if (!files_.empty()) {
      EXPECT_TRUE(RemoveTree(files_).ok());
    }
  }

  // `more` beside what a tunnel's credentials have.
  void WriteCredentials(const std::string& more) const {
    ASSERT_TRUE(
        WriteFileAtomically(files_ + "/tunnel.json", R"({"AccountTag":"abc","TunnelSecret":"c2VjcmV0","TunnelID":")" +
                                                         std::string(kTunnelId) + "\"" + more + "}")
            .ok());
  }
  void StartNode(const Json& tunnel = Json::object(), const Json& gateway = Json::object()) {
    NodeOptions options;
    options.tunnel = {{"mode", "Managed"},
                      {"credentialsFile", files_ + "/tunnel.json"},
                      {"program", std::string(MCPFLEET_SOURCE_DIR) + "/tests/fakes/cloudflared.py"}};
    options.tunnel.merge_patch(tunnel);
    options.gateway = gateway;
    node_ = std::make_unique<Node>(options);
    behind_ = std::make_unique<Behind>(*node_);
  }
  // Ids of connectors, running or not.
  std::vector<std::string> Connectors() const {
    std::vector<std::string> ids;
    DIR* listing = opendir((node_->state() + "/tunnel/connectors").c_str());
    while (const dirent* entry = listing == nullptr ? nullptr : readdir(listing)) {
      if (entry->d_name[0] != '.') ids.emplace_back(entry->d_name);
    }
    if (listing != nullptr) closedir(listing);
    return ids;
  }
  std::string ConnectorFile(const std::string& name) const {
    std::string all;
    for (const std::string& id : Connectors())
      all += ReadFile(node_->state() + "/tunnel/connectors/" + id + "/" + name, 1 << 20).value_or("");
    return all;
  }
  // PID 1 of the only connector; 0 when there is not exactly one.
  int ConnectorPid() const {
    int monitor = 0, init = 0;
    const bool one = Connectors().size() == 1 && sscanf(ConnectorFile("pid").c_str(), "%d %d", &monitor, &init) == 2;
    return one ? init : 0;
  }
  // As cloudflared asks: by the socket, with this Host.
  http::Response ByTunnel(const std::string& hostname, const std::string& target,
                          const std::vector<std::pair<std::string, std::string>>& fields = {}) const {
    http::Client client(http::UnixEndpoint(node_->state() + "/tunnel/gateway/gateway.sock"), {.host_header = hostname});
    http::Request request{.method = "GET", .target = target};
    for (const auto& [name, value] : fields) request.headers.Add(name, value);
    StatusOr<http::Response> response = client.Do(request, Deadline::After(seconds(20)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::Response{.status = 0};
  }
  std::string NodeCondition(const std::string& type) const {
    const Json status = node_->NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") == type)
        return GetString(condition, "status") + "/" + GetString(condition, "reason");
    }
    return "";
  }

  std::string files_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Behind> behind_;
};

TEST_F(TunnelTest, AnExposedServerIsReachedByItsNameAndNothingElseOfTheNode) {
  StartNode();
  std::vector<std::string> refused = {"127.0.0.1:" + std::to_string(node_->admin_port()),
                                      "10.0.2.2:" + std::to_string(node_->admin_port()),
                                      "127.0.0.1:" + std::to_string(node_->gateway_port()),
                                      "127.0.0.1:22",
                                      "10.0.2.2:22",
                                      "10.0.2.3:22"};
  // Something that listens at :22, unless a real one does.
  const UniqueFd ssh(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(22);
  if (bind(ssh.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) {
    ASSERT_EQ(listen(ssh.get(), 4), 0);
  }
  if (const std::string own = OwnAddress(); !own.empty()) {
    refused.push_back(own + ":22");
    refused.push_back("eth0=" + own + ":22");
  }
  WriteCredentials(R"(,"Ask":"/default/files/healthz","Probe":[")" + Join(refused, "\",\"") + "\"]");
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com")), ProcessServer("plain")}));
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "True", "Exposed")) << node_->Report();
  EXPECT_EQ(GetString(node_->ServerStatus("files"), "endpoint"), "https://fs.example.com/default/files/mcp");
  EXPECT_EQ(GetString(node_->ServerStatus("plain"), "endpoint"), node_->GatewayUrl("plain"));
  ASSERT_TRUE(WaitFor([&] { return Has(ConnectorFile("log"), " done\n"); })) << ConnectorFile("log");
  const std::string log = ConnectorFile("log");
  EXPECT_TRUE(Has(log, "gateway fs.example.com 200")) << log;
  for (const std::string& address : refused) EXPECT_TRUE(Has(log, "probe " + address + " refused")) << address << log;
  EXPECT_FALSE(Has(log, "c2VjcmV0"));
  EXPECT_TRUE(WaitFor([&] { return NodeCondition("TunnelReady") == "True/Connected"; }, seconds(40)))
      << NodeCondition("TunnelReady");
  const http::Response metrics = Ask("http://127.0.0.1:" + std::to_string(node_->admin_port()), {.target = "/metrics"});
  EXPECT_TRUE(Has(metrics.body, "mcpfleet_tunnel_up 1") && Has(metrics.body, "mcpfleet_tunnel_hostnames 1"));
}

TEST_F(TunnelTest, ANameIsOfItsServerAloneByWhateverWay) {
  StartNode({{"hostname", "node.example.com"}});
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com")), ProcessServer("plain")}));
  const std::string files = "/default/files/healthz", plain = "/default/plain/healthz";
  EXPECT_EQ(ByTunnel("fs.example.com", files).status, 200);
  EXPECT_EQ(ByTunnel("fs.example.com:443", files).status, 200);
  EXPECT_EQ(ByTunnel("fs.example.com", plain).status, 403);
  EXPECT_EQ(ByTunnel("node.example.com", files).status, 200);
  EXPECT_EQ(ByTunnel("node.example.com", plain).status, 200);
  // Who comes by the tunnel is not on this machine, whatever he says.
  for (const char* host : {"localhost", "127.0.0.1", "other.example.com", ""})
    EXPECT_EQ(ByTunnel(host, files).status, 403) << host;
  EXPECT_EQ(ByTunnel("fs.example.com", "/").status, 403);
  const auto origin = [&](const char* page) { return ByTunnel("fs.example.com", files, {{"Origin", page}}).status; };
  EXPECT_EQ(origin("https://fs.example.com"), 200);
  EXPECT_EQ(origin("https://evil.example.com"), 403);
  EXPECT_EQ(origin("http://localhost:3000"), 403);
  // On the port of the loopback the name is good too (an external cloudflared comes there), for that server alone.
  const std::string gateway = "http://127.0.0.1:" + std::to_string(node_->gateway_port());
  const auto by_port = [&](const std::string& target) {
    http::Request request{.target = target};
    request.headers.Add("Host", "fs.example.com");
    return mcpfleet::Ask(gateway, request).status;
  };
  EXPECT_EQ(by_port(files), 200);
  EXPECT_EQ(by_port(plain), 403);
}

TEST_F(TunnelTest, OfTwoServersWithOneNameTheFirstHasItAndTheOtherGetsItWhenThatGoes) {
  StartNode();
  node_->Start();
  ASSERT_TRUE(behind_->Run(
      {ProcessServer("a", {}, Exposed("x.example.com")), ProcessServer("b", {}, Exposed("x.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("a", "Exposed", "True"));
  ASSERT_TRUE(node_->WaitCondition("b", "Exposed", "False", "HostnameConflict"));
  EXPECT_EQ(GetString(node_->ServerStatus("b"), "endpoint"), node_->GatewayUrl("b"));
  EXPECT_EQ(ByTunnel("x.example.com", "/default/b/healthz").status, 403);
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/a"}).ok());
  ASSERT_TRUE(node_->WaitCondition("b", "Exposed", "True"));
  EXPECT_EQ(ByTunnel("x.example.com", "/default/b/healthz").status, 200);
}

TEST_F(TunnelTest, ItOutlivesMcpletAndFindsTheNextGateway) {
  StartNode();
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "True"));
  const int pid = ConnectorPid();
  ASSERT_GT(pid, 0);
  node_->KillDash9();
  EXPECT_EQ(kill(pid, 0), 0);
  node_->Start();
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "True"));
  EXPECT_EQ(ConnectorPid(), pid);
  EXPECT_EQ(ByTunnel("fs.example.com", "/default/files/healthz").status, 200);
  // One that falls is started again.
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(WaitFor([&] { return ConnectorPid() > 0 && ConnectorPid() != pid; })) << node_->Report();
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "True"));
}

TEST_F(TunnelTest, AnotherNameIsServedByAnotherConnectorAndTheOldOneEnds) {
  StartNode();
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "True"));
  const int pid = ConnectorPid();
  ASSERT_TRUE(behind_->Run({ProcessServer("web", {}, Exposed("web.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("web", "Exposed", "True")) << node_->Report();
  EXPECT_EQ(node_->Condition("files", "Exposed"), "True/Exposed");
  EXPECT_TRUE(WaitFor([&] { return kill(pid, 0) != 0; })) << "the old one is asked to end, and does";
  EXPECT_TRUE(WaitFor([&] { return Connectors().size() == 1; }));
  EXPECT_TRUE(Has(ConnectorFile("files/config.yml"), "web.example.com"));
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/files"}).ok() && node_->Mcpctl({"delete", "mcp/web"}).ok());
  EXPECT_TRUE(WaitFor([&] { return Connectors().empty(); })) << "nothing is exposed";
}

TEST_F(TunnelTest, WithoutCloudflareOrCredentialsNothingIsExposedAndTheNodeSaysWhy) {
  WriteCredentials(R"(,"Connected":0)");
  StartNode();
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "False", "TunnelNotReady"));
  EXPECT_TRUE(WaitFor([&] { return NodeCondition("TunnelReady") == "False/NotConnected"; }, seconds(40)))
      << NodeCondition("TunnelReady");
  WriteCredentials(R"(,"Remote":true)");
  EXPECT_TRUE(WaitFor([&] { return NodeCondition("TunnelReady") == "False/RemoteConfiguration"; }, seconds(60)))
      << NodeCondition("TunnelReady");
  EXPECT_EQ(node_->Condition("files", "Exposed"), "False/TunnelNotReady");
  EXPECT_EQ(node_->Condition("files", "Ready"), "True/Ready");
}

TEST_F(TunnelTest, AnExternalCloudflaredGetsTheIngress) {
  NodeOptions options;
  options.tunnel = {{"mode", "External"}};
  node_ = std::make_unique<Node>(options);
  behind_ = std::make_unique<Behind>(*node_);
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com"))}));
  ASSERT_TRUE(node_->WaitCondition("files", "Exposed", "Unknown", "ExternallyManaged"));
  const std::string rule =
      "  - hostname: \"fs.example.com\"\n    service: \"http://127.0.0.1:" + std::to_string(node_->gateway_port()) +
      "\"\n  - service: \"http_status:404\"\n";
  EXPECT_TRUE(WaitFor([&] { return Has(ReadFile(node_->state() + "/cloudflared.yml", 4096).value_or(""), rule); }))
      << ReadFile(node_->state() + "/cloudflared.yml", 4096).value_or("");
  EXPECT_NE(access((node_->state() + "/tunnel").c_str(), F_OK), 0);
}

TEST_F(TunnelTest, WithoutATunnelThatIsSaidOfAServerThatAsksForOne) {
  node_ = std::make_unique<Node>(NodeOptions{});
  behind_ = std::make_unique<Behind>(*node_);
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("files", {}, Exposed("fs.example.com"))}));
  EXPECT_TRUE(node_->WaitCondition("files", "Exposed", "False", "NotConfigured"));
  EXPECT_EQ(NodeCondition("TunnelReady"), "");
}

TEST_F(TunnelTest, InASignedFleetOnlyWhatCloudflareCannotMintIsExposed) {
  StartNode({{"hostname", "node.example.com"}});
  node_->Start();
  ASSERT_TRUE(behind_->Run({ProcessServer("open", {}, Exposed("open.example.com")),
                            ProcessServer("closed", {}, Exposed("closed.example.com", Bearer("mcpf_ci")))}));
  ASSERT_TRUE(node_->WaitCondition("open", "Exposed", "True"));
  EXPECT_EQ(ByTunnel("node.example.com", "/default/open/healthz").status, 200);
  ASSERT_TRUE(node_->Mcpctl({"keys", "create", "root"}).ok() && node_->Mcpctl({"keys", "create", "laptop"}).ok());
  const CommandResult init = node_->Mcpctl({"trust", "init", "--root", "root", "--head", "laptop"});
  ASSERT_TRUE(init.ok()) << init;
  node_->Terminate();
  node_->SetTrustRoot(std::string(Trim(init.out)));
  node_->Start();
  ASSERT_TRUE(node_->WaitCondition("open", "Exposed", "False", "CloudflareTrusted")) << node_->Report();
  ASSERT_TRUE(node_->WaitCondition("closed", "Exposed", "True"));
  EXPECT_EQ(ByTunnel("open.example.com", "/default/open/healthz").status, 403);
  EXPECT_EQ(ByTunnel("node.example.com", "/default/open/healthz").status, 403);
  EXPECT_EQ(ByTunnel("closed.example.com", "/default/closed/healthz").status, 200);
  EXPECT_TRUE(WaitFor([&] { return Connectors().size() == 1; }));
  EXPECT_FALSE(Has(ConnectorFile("files/config.yml"), "open.example.com"));
}

}  // namespace
}  // namespace mcpfleet
