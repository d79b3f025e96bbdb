// What the gateway's tests share: servers that are reachable through it, and who runs for whom.
#pragma once

#include <signal.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/fixture.h"
#include "tests/integration/mcp_client.h"

namespace mcpfleet {

// Servers that a node runs, through its gateway.
class Behind {
 public:
  explicit Behind(Node& node) : node_(node) {}
  // Applied, Ready, and open to clients.
  ::testing::AssertionResult Run(const std::vector<Json>& manifests) {
    const CommandResult applied = node_.Apply(manifests);
    if (!applied.ok()) return ::testing::AssertionFailure() << applied;
    for (const Json& manifest : manifests) {
      const std::string name = GetString(GetMember(manifest, "metadata"), "name");
      if (!Open(name)) return ::testing::AssertionFailure() << name << ": " << DumpJson(node_.ServerStatus(name));
    }
    return ::testing::AssertionSuccess();
  }
  bool Open(const std::string& server) {
    return node_.WaitReady(server) && WaitFor([&] { return Health(server) == 200; });
  }
  int Health(const std::string& server) const {
    const std::string base = BaseOf(node_.GatewayUrl(server));
    return Ask(base, {.target = "/default/" + server + "/healthz"}).status;
  }
  std::unique_ptr<McpClient> Client(const std::string& server, McpClient::Options options = {}) const {
    return std::make_unique<McpClient>(node_.GatewayUrl(server), std::move(options));
  }
  // A client with a session; null when it got none.
  std::unique_ptr<McpClient> Session(const std::string& server, McpClient::Options options = {}) const {
    auto client = Client(server, std::move(options));
    const bool initialized = client->Initialize();
    EXPECT_TRUE(initialized) << client->problem();
    return initialized ? std::move(client) : nullptr;
  }
  std::unique_ptr<McpClient> Modern(const std::string& server, const Json& capabilities = Json::object()) const {
    return Client(server, {.era = McpClient::Era::kModern, .capabilities = capabilities});
  }
  // Every process of the servers, those of clients too.
  std::set<pid_t> Pids() const {
    const std::vector<pid_t> pids = node_.TestServerPids();
    return {pids.begin(), pids.end()};
  }
  // Looks until there are that many.
  ::testing::AssertionResult Counts(size_t count) const {
    if (WaitFor([&] { return Pids().size() == count; }, std::chrono::seconds(20))) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << Pids().size() << " processes, not " << count;
  }
  Json Stats(McpClient& client) const { return ParseJson(client.Call("stats")).value_or(Json()); }

 private:
  Node& node_;
};

inline std::set<pid_t> Without(std::set<pid_t> all, const std::set<pid_t>& those) {
  for (const pid_t pid : those) all.erase(pid);
  return all;
}

// An error of JSON-RPC, not a result.
inline bool IsError(const std::optional<Json>& answer) { return answer && answer->contains("error"); }

// Nothing is waited for: it is only that some time has to go by for what is looked at afterwards.
inline void LetPass(Duration time) {
  const Deadline deadline = Deadline::After(time);
  WaitFor([&] { return deadline.Expired(); });
}

class GatewayTest : public RuntimesTest {
 protected:
  void SetUp() override {
    RuntimesTest::SetUp();
    if (node_ != nullptr) behind_ = std::make_unique<Behind>(*node_);
  }
  std::unique_ptr<Behind> behind_;
};

// Where the runtime makes no difference.
class GatewayNodeTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    node_ = std::make_unique<Node>(Options());
    node_->Start();
    behind_ = std::make_unique<Behind>(*node_);
  }
  virtual NodeOptions Options() const { return {}; }
  std::unique_ptr<Node> node_;
  std::unique_ptr<Behind> behind_;
};

}  // namespace mcpfleet
