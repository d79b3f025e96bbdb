// A fleet whose store is the Worker: real workerd, real mcpctl, real mcplet.
#include <signal.h>

#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "base/http/client.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// The Worker on a port of the system's choice, with its state in a directory of its own.
class Worker {
 public:
  // `sources`: cloud/worker with its packages installed.
  explicit Worker(const std::string& sources) {
    char pattern[] = "/tmp/mcpfleet-worker-XXXXXX";
    directory_ = mkdtemp(pattern);
    pid_ = StartProgram({sources + "/dev/node", sources + "/dev/serve.mjs", "--dir", directory_ + "/state"}, Log());
    WaitFor([this] { return !(url_ = FirstLine()).empty(); });
    EXPECT_TRUE(url_.starts_with("http://127.0.0.1:")) << ReadFile(Log(), 4096).value_or("");
  }
  ~Worker() {
    EXPECT_EQ(EndProgram(pid_, SIGTERM), 0);
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  const std::string& url() const { return url_; }
  const std::string& directory() const { return directory_; }
  std::string OperatorToken() const { return ReadFile(directory_ + "/state/operator-token", 4096).value_or(""); }

 private:
  std::string Log() const { return directory_ + "/log"; }
  std::string FirstLine() const {
    const std::string text = ReadFile(Log(), 4096).value_or("");
    const size_t end = text.find('\n');
    return end == std::string::npos ? "" : text.substr(0, end);
  }
  std::string directory_, url_;
  pid_t pid_ = -1;
};

class WorkerTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    const char* sources = getenv("MCPFLEET_TEST_WORKER");
    if (sources == nullptr || *sources == '\0')
      GTEST_SKIP() << "NOT RUN: MCPFLEET_TEST_WORKER does not name cloud/worker with its packages; scripts/test does";
    worker_ = std::make_unique<Worker>(sources);
    token_file_ = worker_->directory() + "/node-token";
    node_ = std::make_unique<Node>(
        NodeOptions{.store_url = worker_->url(), .store_token_file = token_file_, .store_poll_interval = "1s"});
    const CommandResult context =
        node_->Mcpctl({"config", "set-context", "worker", "--server", worker_->url(), "--token-stdin", "--use"},
                      worker_->OperatorToken());
    ASSERT_TRUE(context.ok()) << context;
    GiveToken();
  }
  void TearDown() override {
    node_.reset();
    worker_.reset();
  }
  void GiveToken() {
    unlink(token_file_.c_str());
    const CommandResult made =
        node_->Mcpctl({"store", "token", "create", "--node", node_->name(), "--out", token_file_});
    ASSERT_TRUE(made.ok()) << made;
  }

  // What the Worker answers an operator; null on an error.
  Json Ask(const std::string& method, const std::string& target) {
    const uint16_t port = static_cast<uint16_t>(std::stoi(worker_->url().substr(worker_->url().rfind(':') + 1)));
    http::Client client(http::TcpEndpoint("127.0.0.1", port), {});
    http::Request request{.method = method, .target = target};
    request.headers.Set("Authorization", "Bearer " + std::string(Trim(worker_->OperatorToken())));
    const auto answer = client.Do(request, Deadline::After(seconds(30)));
    if (!answer.ok()) return nullptr;
    const auto json = ParseJson(answer->body);
    return json.ok() ? GetMember(*json, "result") : Json();
  }
  Json NodeOfTheFleet() { return Ask("GET", "/v1/nodes/" + node_->name()); }
  // How many requests mcplet has made: of one operation, or ("") of all.
  int64_t Requests(const std::string& operation) {
    http::Client client(http::TcpEndpoint("127.0.0.1", node_->admin_port()), {});
    const auto answer = client.Do({.method = "GET", .target = "/metrics"}, Deadline::After(seconds(30)));
    EXPECT_TRUE(answer.ok()) << answer.status();
    double sum = 0;
    for (const std::string& line : Split(answer.ok() ? answer->body : "", '\n')) {
      if (!line.starts_with("mcpfleet_store_requests_total{")) continue;
      if (operation.empty() || line.find("op=\"" + operation + "\"") != std::string::npos) {
        sum += std::stod(line.substr(line.rfind(' ') + 1));
      }
    }
    return static_cast<int64_t>(sum);
  }

  std::string token_file_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Node> node_;
};

TEST_F(WorkerTest, WhatIsAppliedRunsAndItsStatusComesBack) {
  node_->Start();
  const CommandResult applied = node_->Apply({ProcessServer("weather")});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node_->WaitReady("weather"));
  std::string table;
  EXPECT_TRUE(WaitFor([&] {
    table = node_->Mcpctl({"get", "mcp"}).out;
    return table.find("1/1") != std::string::npos;
  })) << table;
  EXPECT_NE(node_->Mcpctl({"get", "nodes"}).out.find(node_->name()), std::string::npos);
  // Removed there, it ends here.
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/weather"}).ok());
  EXPECT_TRUE(WaitFor([&] { return node_->TestServerPids().empty(); }));
}

TEST_F(WorkerTest, ARevokedNodeHearsNothingMoreAndWhatRunsGoesOn) {
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t pid = node_->ServerPid("weather");
  const CommandResult revoked = node_->Mcpctl({"store", "token", "revoke", "--node", node_->name()});
  ASSERT_TRUE(revoked.ok()) << revoked;
  ASSERT_TRUE(node_->Apply({ProcessServer("late")}).ok());
  poll(nullptr, 0, 5000);  // a push takes milliseconds
  EXPECT_TRUE(node_->ServerStatus("late").is_null());
  EXPECT_EQ(node_->ServerPid("weather"), pid);
  // With another token in its file it goes on where it was, by itself.
  GiveToken();
  EXPECT_TRUE(node_->WaitReady("late"));
  EXPECT_EQ(node_->ServerPid("weather"), pid);
}

TEST_F(WorkerTest, ASignedFleetIsFollowedThere) {
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->Mcpctl({"keys", "create", "root"}).ok());
  const CommandResult init = node_->Mcpctl({"trust", "init", "--root", "root", "--head", "root"});
  ASSERT_TRUE(init.ok()) << init;
  node_->SetTrustRoot(std::string(Trim(init.out)));
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  // Another head key; a trust document is written once, and never in bulk or away.
  ASSERT_TRUE(node_->Mcpctl({"keys", "create", "other"}).ok());
  const CommandResult rotated = node_->Mcpctl({"trust", "rotate", "--head", "other"});
  ASSERT_TRUE(rotated.ok()) << rotated;
  ASSERT_TRUE(node_->Apply({ProcessServer("second")}).ok());
  EXPECT_TRUE(node_->WaitReady("second"));
}

TEST_F(WorkerTest, AConnectedNodeAtRestAsksForNothingAndWritesNothing) {
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  // The status is there, and went over the socket.
  ASSERT_TRUE(WaitFor([&] { return node_->Mcpctl({"get", "mcp"}).out.find("1/1") != std::string::npos; }));
  EXPECT_EQ(Requests("put"), 0);
  EXPECT_EQ(Requests("list"), 0);
  const int64_t before = Requests("");
  poll(nullptr, 0, 10'000);  // ten poll intervals of a store that does not push
  EXPECT_EQ(Requests(""), before);
  // A change of one object costs the snapshot, the shard and the object.
  ASSERT_TRUE(node_->Apply({ProcessServer("second")}).ok());
  ASSERT_TRUE(node_->WaitReady("second"));
  EXPECT_LE(Requests(""), before + 4);
  EXPECT_EQ(Requests("put"), 0);
}

TEST_F(WorkerTest, ANodeThatIsAskedToGetsANewTokenAndTheOldOneEnds) {
  node_->Start();
  ASSERT_TRUE(WaitFor([&] { return GetBool(NodeOfTheFleet(), "connected"); }));
  const std::string old = *ReadFile(token_file_, 4096);
  Ask("POST", "/v1/nodes/" + node_->name() + "/rotate");
  ASSERT_TRUE(WaitFor([&] { return ReadFile(token_file_, 4096).value_or(old) != old; }));
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  EXPECT_TRUE(node_->WaitReady("weather"));
  EXPECT_TRUE(WaitFor([&] { return GetMember(NodeOfTheFleet(), "tokens").size() == 1; })) << DumpJson(NodeOfTheFleet());
  // Another process reads it from the file.
  node_->Terminate();
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("second")}).ok());
  EXPECT_TRUE(node_->WaitReady("second"));
}

TEST_F(WorkerTest, ANodeThatComesBackIsItselfAndOneWithoutItsNonceIsTakenForACopy) {
  const auto cloned = [&] { return GetBool(NodeOfTheFleet(), "cloned"); };
  const auto connected = [&] { return GetBool(NodeOfTheFleet(), "connected"); };
  const std::string nonce = node_->state() + "/nonce";
  for (int i = 0; i < 3; ++i) {
    node_->Start();
    ASSERT_TRUE(WaitFor(connected));
    ASSERT_TRUE(WaitFor([&] { return access(nonce.c_str(), R_OK) == 0; }));
    node_->Terminate();
    ASSERT_TRUE(WaitFor([&] { return !connected(); }));
    EXPECT_FALSE(cloned()) << i;
  }
  ASSERT_EQ(unlink(nonce.c_str()), 0);
  node_->Start();
  EXPECT_TRUE(WaitFor(cloned));
}

}  // namespace
}  // namespace mcpfleet
