// A fleet whose store is the Worker: real workerd, real mcpctl, real mcplet.
#include <poll.h>
#include <unistd.h>

#include "base/strings.h"
#include "tests/integration/fixture.h"
#include "tests/integration/worker.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class WorkerTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    const std::string sources = Worker::Sources();
    if (sources.empty()) GTEST_SKIP() << Worker::kNotRun;
    worker_ = std::make_unique<Worker>(sources);
    token_file_ = worker_->directory() + "/node-token";
    node_ = std::make_unique<Node>(NodeOptions{.store_url = worker_->url(), .store_token_file = token_file_});
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
  // With another token it goes on where it was.
  GiveToken();
  node_->Terminate();
  node_->Start();
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

}  // namespace
}  // namespace mcpfleet
