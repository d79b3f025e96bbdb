// The real shim as the first process of a real container, and the host's end of it: the way every stdio server runs.
#include <signal.h>

#include <atomic>

#include "base/mutex.h"
#include "edge-runtime/shim/shim_host.h"
#include "tests/edge-runtime/containerd/containerd_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class ContainerdShimTest : public ContainerdTest {
 protected:
  void SetUp() override {
    shim_ = std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim";
    ContainerdTest::SetUp();
    if (IsSkipped()) return;
    host_ = ShimHost::Create(state_, clock_).value();
  }
  void TearDown() override {
    if (runtime_ != nullptr) {
      EXPECT_TRUE(runtime_->Remove(kId, Soon()).ok());
    }
    host_.reset();
    ContainerdTest::TearDown();
  }
  void RunInstance() {
    InstanceSpec spec = Spec(kId, "");
    spec.spec.args = {};
    spec.spec.env = {{"TOKEN", "hunter2"}};
    spec.shim_directory = host_->Prepare(kId).value();
    Run(spec);
    const std::optional<InstanceReport> report = Await(kId, InstanceState::kRunning);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->shim);
    host_->Expect(kId, report->pid);
    ASSERT_TRUE(Eventually([&] { return host_->Connected(kId); })) << "the shim did not connect";
  }
  static constexpr char kId[] = "echo-1";
  std::unique_ptr<ShimHost> host_;
};
INSTANTIATE_TEST_SUITE_P(All, ContainerdShimTest, testing::Values("1.6", "1.7", "2"), VersionName);

TEST_P(ContainerdShimTest, AServerAnswersThroughTheShimItsStderrIsLoggedAndItsSecretsStayOutOfContainerd) {
  RunInstance();
  const Status started = host_->StartMain(
      kId, {"/bin/sh", "-c", "echo to the log >&2; echo \"$TOKEN $FROM_IMAGE\"; exec /bin/busybox cat"},
      {{"TOKEN", "hunter2"}}, Transport::kStdio, Soon());
  ASSERT_TRUE(started.ok()) << started;
  const std::shared_ptr<StdioChannel> channel = host_->MainChannel(kId);
  ASSERT_NE(channel, nullptr);
  Mutex mu;
  std::vector<std::string> lines;
  channel->SetReceiver([&](std::string_view line) {
    MutexLock lock(&mu);
    lines.emplace_back(line);
  });
  ASSERT_TRUE(channel->Send(R"({"jsonrpc":"2.0","id":1})", Soon()).ok());
  EXPECT_TRUE(Eventually([&] {
    MutexLock lock(&mu);
    return lines.size() == 2;
  }));
  channel->SetReceiver(nullptr);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "hunter2 yes") << "environment of the spec, and of the image";
  EXPECT_EQ(lines[1], R"({"jsonrpc":"2.0","id":1})");
  EXPECT_TRUE(Logged(kId, "to the log"));
  EXPECT_EQ(Ctr({"containers", "info", kId}).find("hunter2"), std::string::npos);
}

TEST_P(ContainerdShimTest, ASessionGoesOnAfterMcpletAndContainerdWereRestarted) {
  RunInstance();
  ASSERT_TRUE(host_->StartMain(kId, {"/bin/busybox", "cat"}, {}, Transport::kStdio, Soon()).ok());
  host_.reset();
  runtime_.reset();
  ASSERT_TRUE(engine_->Restart(SIGKILL).ok());
  runtime_ = Open();
  host_ = ShimHost::Create(state_, clock_).value();
  ASSERT_TRUE(host_->Prepare(kId).ok());
  const std::optional<InstanceReport> report = Await(kId, InstanceState::kRunning);
  ASSERT_TRUE(report);
  host_->Expect(kId, report->pid);
  ASSERT_TRUE(Eventually([&] { return host_->MainChannel(kId) != nullptr; })) << "the session was not adopted";
  std::atomic<bool> answered{false};
  const std::shared_ptr<StdioChannel> channel = host_->MainChannel(kId);
  channel->SetReceiver([&](std::string_view line) { answered = line == "again"; });
  ASSERT_TRUE(channel->Send("again", Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return answered.load(); }));
  channel->SetReceiver(nullptr);
}

TEST_P(ContainerdShimTest, AStoppedInstanceEndsCleanly) {
  RunInstance();
  ASSERT_TRUE(host_->StartMain(kId, {"/bin/busybox", "cat"}, {}, Transport::kStdio, Soon()).ok());
  ASSERT_TRUE(runtime_->Stop(kId, seconds(10), Soon()).ok());
  const std::optional<InstanceReport> report = Await(kId, InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_EQ(report->exit->code, 0);
}

}  // namespace
}  // namespace mcpfleet
