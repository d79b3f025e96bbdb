// The real shim as the first process of a real container, and the host's end of it: the way every stdio server runs.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mutex.h"
#include "edge-runtime/docker/docker_runtime.h"
#include "edge-runtime/shim/shim_host.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class DockerShimTest : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = DockerEngine::Shared();
    if (engine_ == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
    const std::string shim = std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim";
    ASSERT_EQ(access(shim.c_str(), X_OK), 0) << shim;
    char pattern[] = "/tmp/mcpfleet-docker-shim-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    state_ = pattern;
    runtime_ =
        DockerRuntime::Create(
            {.socket_path = engine_->socket(), .node_name = "shim-" + std::to_string(getpid()), .shim_binary = shim},
            clock_)
            .value();
    host_ = ShimHost::Create(state_, clock_).value();
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    EXPECT_TRUE(runtime_->Remove(kId, Soon()).ok());
    host_.reset();
    EXPECT_TRUE(RemoveTree(state_).ok());
  }
  static Deadline Soon() { return Deadline::After(seconds(30)); }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    for (const Deadline deadline = Soon(); !deadline.Expired(); poll(nullptr, 0, 10)) {
      if (condition()) return true;
    }
    return false;
  }
  void RunInstance() {
    InstanceSpec spec{.id = kId, .server = {"default", "echo"}, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = engine_->image(), .pull_policy = PullPolicy::kNever};
    spec.spec.env = {{"TOKEN", "hunter2"}};
    spec.artifact = runtime_->Pull(spec.spec, nullptr, Soon()).value();
    spec.shim_directory = host_->Prepare(kId).value();
    const Status created = runtime_->Create(spec, Soon());
    ASSERT_TRUE(created.ok()) << created;
    const Status started = runtime_->Start(kId, Soon());
    ASSERT_TRUE(started.ok()) << started;
    const std::vector<InstanceReport> list = runtime_->List(Soon()).value();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(list[0].shim);
    ASSERT_GT(list[0].pid, 0);
    host_->Expect(kId, list[0].pid);
    ASSERT_TRUE(Eventually([&] { return host_->Connected(kId); })) << "the shim did not connect";
  }
  static constexpr char kId[] = "echo-1";

  DockerEngine* engine_ = nullptr;
  SystemClock clock_;
  std::string state_;
  std::unique_ptr<DockerRuntime> runtime_;
  std::unique_ptr<ShimHost> host_;
};

TEST_F(DockerShimTest, AServerInAContainerAnswersThroughTheShimAndItsSecretsStayOutOfTheEngine) {
  RunInstance();
  const Status started = host_->StartMain(kId, {"/bin/sh", "-c", "echo \"$TOKEN $FROM_IMAGE\"; exec /bin/busybox cat"},
                                          {{"TOKEN", "hunter2"}}, Transport::kStdio, Soon());
  ASSERT_TRUE(started.ok()) << started;
  std::shared_ptr<StdioChannel> channel = host_->MainChannel(kId);
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
  const std::string inspected = engine_->Request("GET", "/containers/" + ContainerName(kId) + "/json")->body;
  EXPECT_EQ(inspected.find("hunter2"), std::string::npos);
  EXPECT_EQ(inspected.find("TOKEN=hunter2"), std::string::npos);
}

TEST_F(DockerShimTest, TheSessionOutlivesTheAgent) {
  RunInstance();
  ASSERT_TRUE(host_->StartMain(kId, {"/bin/busybox", "cat"}, {}, Transport::kStdio, Soon()).ok());
  host_.reset();
  host_ = ShimHost::Create(state_, clock_).value();
  ASSERT_TRUE(host_->Prepare(kId).ok());
  const std::vector<InstanceReport> list = runtime_->List(Soon()).value();
  ASSERT_EQ(list.size(), 1U);
  host_->Expect(kId, list[0].pid);
  ASSERT_TRUE(Eventually([&] { return host_->MainChannel(kId) != nullptr; })) << "the session was not adopted";
  std::atomic<bool> answered{false};
  std::shared_ptr<StdioChannel> channel = host_->MainChannel(kId);
  channel->SetReceiver([&](std::string_view line) { answered = line == "again"; });
  ASSERT_TRUE(channel->Send("again", Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return answered.load(); }));
  channel->SetReceiver(nullptr);
}

TEST_F(DockerShimTest, AStoppedInstanceEndsCleanly) {
  RunInstance();
  ASSERT_TRUE(host_->StartMain(kId, {"/bin/busybox", "cat"}, {}, Transport::kStdio, Soon()).ok());
  ASSERT_TRUE(runtime_->Stop(kId, seconds(10), Soon()).ok());
  const std::vector<InstanceReport> list = runtime_->List(Soon()).value();
  ASSERT_EQ(list.size(), 1U);
  ASSERT_TRUE(list[0].exit);
  EXPECT_EQ(list[0].exit->code, 0);
}

}  // namespace
}  // namespace mcpfleet
