// The real mcp-shim as PID 1 of a real sandbox.
#include "base/mutex.h"
#include "edge-runtime/shim/shim_host.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class ShimInSandboxTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    options_.shim_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim";
    if (access(options_.shim_binary.c_str(), X_OK) != 0) GTEST_SKIP() << "mcp-shim is not built";
    Recreate();
    StatusOr<std::unique_ptr<ShimHost>> host = ShimHost::Create(state_, clock_);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
  }
  void TearDown() override {
    host_.reset();  // it listens anew for a shim that goes, below the directory that is removed next
    ProcessTest::TearDown();
  }
  // An instance whose shim is connected.
  void Up(InstanceSpec spec) {
    StatusOr<std::string> directory = host_->Prepare(spec.id);
    ASSERT_TRUE(directory.ok()) << directory.status();
    spec.shim_directory = *directory;
    const Status status = Run(spec);
    ASSERT_TRUE(status.ok()) << status;
    host_->Expect(spec.id, Report(spec.id).pid);
    ASSERT_TRUE(Eventually([&] { return host_->Connected(spec.id); })) << LogText(spec.id);
  }

  std::unique_ptr<ShimHost> host_;
};

TEST_F(ShimInSandboxTest, AServerAnswersLinesAndItsStderrIsInTheLog) {
  Up(Shell("a", "unused"));
  const Status started = host_->StartMain(
      "a", {"/usr/bin/busybox", "sh", "-c", "echo ready >&2; while read l; do echo \"got $l $(id -u)\"; done"}, {},
      Transport::kStdio, Soon());
  ASSERT_TRUE(started.ok()) << started;
  Mutex mu;
  std::string received;
  std::shared_ptr<StdioChannel> channel = host_->MainChannel("a");
  ASSERT_NE(channel, nullptr);
  channel->SetReceiver([&](std::string_view line) {
    MutexLock lock(&mu);
    received = line;
  });
  ASSERT_TRUE(channel->Send("hello", Soon()).ok());
  EXPECT_TRUE(Eventually([&] {
    MutexLock lock(&mu);
    return received == "got hello 65534";
  })) << received;
  EXPECT_TRUE(Eventually([&] { return LogText("a").find("ready\n") != std::string::npos; }));
  channel->SetReceiver(nullptr);
}

TEST_F(ShimInSandboxTest, AChildThatRunsOutOfMemoryDiesAndTheInstanceLives) {
  InstanceSpec spec = Shell("a", "unused");
  spec.spec.resources.memory_bytes = 48 << 20;
  Up(spec);
  ASSERT_TRUE(host_->StartMain("a", {"/usr/bin/busybox", "sh", "-c", kMemoryHog}, {}, Transport::kStdio, Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return host_->Main("a").phase == MainState::Phase::kExited; }));
  EXPECT_EQ(Report("a").state, InstanceState::kRunning);
  EXPECT_TRUE(host_->Connected("a"));
  StatusOr<std::vector<InstanceUsage>> usage = runtime_->Usage(Soon());
  ASSERT_TRUE(usage.ok() && usage->size() == 1);
  EXPECT_GE((*usage)[0].oom_kills, 1);
}

TEST_F(ShimInSandboxTest, StoppingEndsTheServerByTheShimWithoutAKill) {
  Up(Shell("a", "unused"));
  ASSERT_TRUE(host_->StartMain("a", {"/usr/bin/busybox", "cat"}, {}, Transport::kStdio, Soon()).ok());
  ASSERT_TRUE(runtime_->Stop("a", std::chrono::seconds(15), Soon()).ok());
  const InstanceReport report = Report("a");
  ASSERT_TRUE(report.exit.has_value());
  EXPECT_EQ(report.exit->code, 0);
  EXPECT_EQ(report.exit->signal, 0);
}

}  // namespace
}  // namespace mcpfleet
