// A fleet whose store is the Worker: real workerd, real mcpctl, real mcplet.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "base/http/client.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/integration/fixture.h"
#include "tests/integration/worker.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class WorkerTest : public WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    if (worker_ == nullptr) return;
    token_file_ = worker_->directory() + "/node-token";
    MakeNode({.store_poll_interval = "1s"});
  }
  void MakeNode(const NodeOptions& options) {
    MakeNodeOfWorker(options, token_file_);
    GiveToken();
  }
  void GiveToken() {
    unlink(token_file_.c_str());
    const CommandResult made =
        node_->Mcpctl({"store", "token", "create", "--node", node_->name(), "--out", token_file_});
    ASSERT_TRUE(made.ok()) << made;
  }

  Json NodeOfTheFleet() { return worker_->Ask("GET", "/v1/nodes/" + node_->name()); }
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

TEST_F(WorkerTest, TheOfficialClientWorksWithIt) {
  const char* given = getenv("MCPFLEET_TEST_NPM");
  const std::string npm = given != nullptr ? given : MCPFLEET_BINARY_DIR "/npm";
  if (access((npm + "/node_modules/cloudflare/package.json").c_str(), R_OK) != 0)
    GTEST_SKIP() << "NOT RUN: the official Cloudflare client is not in " << npm << "; scripts/test installs it";
  const CommandResult run =
      RunCommand({Worker::Sources() + "/dev/node", MCPFLEET_SOURCE_DIR "/tests/integration/cloudflare_client.mjs",
                  worker_->url(), std::string(Trim(worker_->OperatorToken()))},
                 {"PATH=/usr/bin:/bin", "HOME=" + worker_->directory(), "CLOUDFLARE_PACKAGE=" + npm + "/package.json"},
                 "", seconds(120));
  EXPECT_TRUE(run.ok()) << run;
  EXPECT_NE(run.out.find("\nall\n"), std::string::npos) << run;
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

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST_F(WorkerTest, LogsAreReadInTheStoreWhenTheNodeIsGone) {
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  ASSERT_TRUE(WaitFor([&] {
    const Json status = node_->NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") == "LogsShipped") return GetString(condition, "status") == "True";
    }
    return false;
  })) << node_->Report();
  // A crash ships what was written within seconds; then nothing is left of mcplet.
  ASSERT_EQ(kill(node_->ServerPid("weather"), SIGKILL), 0);
  CommandResult logs;
  const auto stored = [&](const std::vector<std::string>& more) {
    std::vector<std::string> argv{"logs", "weather"};
    argv.insert(argv.end(), more.begin(), more.end());
    return logs = node_->Mcpctl(argv);
  };
  EXPECT_TRUE(WaitFor([&] { return Count(stored({"--all-nodes"}).out, " starts\n") >= 1; })) << logs << node_->Report();
  EXPECT_NE(logs.out.find("[" + node_->name() + "] "), std::string::npos) << logs;
  ASSERT_TRUE(node_->WaitReady("weather"));
  node_->KillDash9();
  stored({"--node", node_->name()});
  EXPECT_TRUE(logs.ok()) << logs;
  EXPECT_GE(Count(logs.out, " starts\n"), 1) << logs;
  EXPECT_NE(logs.err.find("Read from the store"), std::string::npos) << logs;
  // The next mcplet goes on behind the last chunk: no line is missing, none is there twice.
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  node_->Terminate();
  stored({"--node", node_->name(), "--timestamps"});
  EXPECT_EQ(Count(logs.out, " starts\n"), 2) << logs << node_->Report();
  // Of another node there is nothing.
  EXPECT_EQ(stored({"--node", "elsewhere"}).out, "");
}

TEST_F(WorkerTest, LogsOfContainersAreThereToo) {
  if (EngineWithImage() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
  node_.reset();
  MakeNode({.docker_socket = EngineWithImage()->socket()});
  node_->Start();
  ASSERT_TRUE(node_->Apply({DockerServer("box")}).ok());
  ASSERT_TRUE(node_->WaitReady("box")) << node_->Report();
  CommandResult logs;
  // The last words of a container that is removed.
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/box"}).ok());
  EXPECT_TRUE(WaitFor([&] {
    logs = node_->Mcpctl({"logs", "box", "--all-nodes"});
    return Count(logs.out, " starts\n") == 1;
  })) << logs
      << node_->Report();
  EXPECT_TRUE(WaitFor([&] { return node_->Containers().empty(); }));
}

TEST_F(WorkerTest, AFloodIsInTheStoreLineByLine) {
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("flood", {"--flood-stderr", "1"})}).ok());
  ASSERT_TRUE(node_->WaitReady("flood"));
  node_->Terminate();
  const CommandResult live = node_->Mcpctl({"logs", "flood", "--all-nodes"});
  EXPECT_TRUE(live.ok()) << live.err;
  EXPECT_GT(live.out.size(), size_t{1} << 20);
  EXPECT_EQ(Count(live.out, " starts\n"), 1);
}

TEST_F(WorkerTest, AServerWithReplicasRunsOnceTheNodeKnowsWhoIsDown) {
  node_->Start();
  const Json declared = {
      {"apiVersion", "mcpfleet.dev/v1alpha1"}, {"kind", "MCPNode"}, {"metadata", {{"name", node_->name()}}}};
  const auto replicas = [](int count) { return ProcessServer("weather", {}, {{"placement", {{"replicas", count}}}}); };
  const CommandResult applied = node_->Apply({declared, replicas(1)});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node_->WaitReady("weather"));
  std::string table;
  EXPECT_TRUE(WaitFor([&] {
    table = node_->Mcpctl({"get", "mcp"}).out;
    return table.find("1/1     Ready") != std::string::npos;
  })) << table;
  EXPECT_NE(node_->Mcpctl({"describe", "mcp/weather"}).out.find("(its place)"), std::string::npos);
  ASSERT_TRUE(node_->Apply({replicas(2)}).ok());
  EXPECT_TRUE(WaitFor([&] {
    table = node_->Mcpctl({"get", "mcp"}).out;
    return table.find("1/2") != std::string::npos;
  })) << table;
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
  // The status is there, and went over the socket but for what was said before there was one.
  ASSERT_TRUE(WaitFor([&] { return node_->Mcpctl({"get", "mcp"}).out.find("1/1") != std::string::npos; }));
  const int64_t puts = Requests("put");
  EXPECT_LE(puts, 1);
  EXPECT_EQ(Requests("list"), 0);
  const int64_t before = Requests("");
  poll(nullptr, 0, 10'000);  // ten poll intervals of a store that does not push
  EXPECT_EQ(Requests(""), before);
  // A change of one object costs the snapshot, the shard and the object.
  ASSERT_TRUE(node_->Apply({ProcessServer("second")}).ok());
  ASSERT_TRUE(node_->WaitReady("second"));
  EXPECT_LE(Requests(""), before + 4);
  EXPECT_EQ(Requests("put"), puts);
}

TEST_F(WorkerTest, ANodeThatIsAskedToGetsANewTokenAndTheOldOneEnds) {
  node_->Start();
  ASSERT_TRUE(WaitFor([&] { return GetBool(NodeOfTheFleet(), "connected"); }));
  const std::string old = *ReadFile(token_file_, 4096);
  worker_->Ask("POST", "/v1/nodes/" + node_->name() + "/rotate");
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
