// Containers without the shim on a real engine: their streams over the engine's connection.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include "base/fd.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "edge-runtime/docker/docker_runtime.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Collects the lines of a channel.
class Lines {
 public:
  explicit Lines(std::shared_ptr<StdioChannel> channel) : channel_(std::move(channel)) {
    channel_->SetReceiver([this](std::string_view line) {
      MutexLock lock(&mu_);
      lines_.emplace_back(line);
      arrived_.NotifyAll();
    });
  }
  ~Lines() { channel_->SetReceiver(nullptr); }
  // The line with this index; "" when it does not come.
  std::string At(size_t index) {
    const Deadline deadline = Deadline::After(seconds(30));
    MutexLock lock(&mu_);
    while (lines_.size() <= index) {
      if (!arrived_.WaitUntil(&mu_, deadline)) return "";
    }
    return lines_[index];
  }

 private:
  std::shared_ptr<StdioChannel> channel_;
  Mutex mu_;
  CondVar arrived_;
  std::vector<std::string> lines_ GUARDED_BY(mu_);
};

class DockerAttachTest : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = DockerEngine::Shared();
    if (engine_ == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
    char pattern[] = "/tmp/mcpfleet-docker-attach-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    state_ = pattern;
    attachments_ = DockerAttachments::Create(state_, clock_).value();
    Open({.attach = "asked for"});
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    for (const std::string& id : made_) EXPECT_TRUE(runtime_->Remove(id, Soon()).ok());
    runtime_.reset();
    attachments_.reset();
    EXPECT_TRUE(RemoveTree(state_).ok());
  }
  void Open(DockerOptions options) {
    options.socket_path = engine_->socket();
    options.node_name = "attach-" + std::to_string(getpid());
    options.attachments = attachments_.get();
    runtime_ = DockerRuntime::Create(std::move(options), clock_).value();
  }
  static Deadline Soon() { return Deadline::After(seconds(60)); }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    for (const Deadline deadline = Soon(); !deadline.Expired(); poll(nullptr, 0, 10)) {
      if (condition()) return true;
    }
    return false;
  }
  Status Make(const std::string& id, const std::string& script) {
    InstanceSpec spec{.id = id, .server = {"default", "echo"}, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = engine_->image(), .pull_policy = PullPolicy::kNever};
    spec.spec.args = {"sh", "-c", script};
    spec.spec.env = {{"TOKEN", "hunter2"}};
    ASSIGN_OR_RETURN(spec.artifact, runtime_->Pull(spec.spec, nullptr, Soon()));
    spec.shim_directory = shim_directory_;
    made_.push_back(id);
    return runtime_->Create(spec, Soon());
  }
  void Run(const std::string& id, const std::string& script) {
    Status status = Make(id, script);
    ASSERT_TRUE(status.ok()) << status;
    status = runtime_->Start(id, Soon());
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_NE(attachments_->Channel(id), nullptr);
  }
  std::string Logs(const std::string& id) {
    std::string text;
    const auto sink = [&](std::string_view line) { return text += line, true; };
    EXPECT_TRUE(runtime_->Logs(id, {}, sink, Soon()).ok());
    return text;
  }
  InstanceReport Report(const std::string& id) {
    std::vector<InstanceReport> reports = runtime_->List(Soon()).value();
    for (InstanceReport& report : reports) {
      if (report.id == id) return std::move(report);
    }
    return {};
  }

  DockerEngine* engine_ = nullptr;
  SystemClock clock_;
  std::string state_, shim_directory_;
  std::unique_ptr<DockerAttachments> attachments_;
  std::unique_ptr<DockerRuntime> runtime_;
  std::vector<std::string> made_;
};

TEST_F(DockerAttachTest, LinesOf300KilobytesGoBothWaysFromTheFirstByteOnAndTheEngineKeepsNoneOfThem) {
  Run("echo-1", "echo first $TOKEN; echo on stderr >&2; exec cat");
  Lines lines(attachments_->Channel("echo-1"));
  EXPECT_EQ(lines.At(0), "first hunter2");
  for (size_t i = 1; i <= 5; ++i) {
    const std::string line(300'000, static_cast<char>('a' + i));
    ASSERT_TRUE(attachments_->Channel("echo-1")->Send(line, Soon()).ok());
    ASSERT_TRUE(lines.At(i) == line) << i;
  }
  EXPECT_TRUE(Eventually([&] { return Logs("echo-1").ends_with(" on stderr\n"); })) << Logs("echo-1");
  EXPECT_EQ(Logs("echo-1").find("first"), std::string::npos) << "stdout is the protocol, not the log";
  const DockerEngine::Answer engine =
      engine_->Request("GET", "/containers/" + ContainerName("echo-1") + "/json").value();
  EXPECT_NE(engine.body.find(R"("LogPath":"")"), std::string::npos);
  EXPECT_FALSE(Report("echo-1").shim);
  EXPECT_EQ(Report("echo-1").attached, "asked for");
}

TEST_F(DockerAttachTest, AServerThatDoesNotReadFillsItsOwnQueueAndNobodyElseWaits) {
  Run("deaf-1", "while :; do sleep 1; done");
  Run("echo-1", "exec cat");
  const std::string line(1'000'000, 'x');
  Status status;
  const MonoTime begun = clock_.Now();
  for (int i = 0; i < 40 && status.ok(); ++i) status = attachments_->Channel("deaf-1")->Send(line, Soon());
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_LT(clock_.Now() - begun, seconds(5)) << "Send waited";
  Lines lines(attachments_->Channel("echo-1"));
  ASSERT_TRUE(attachments_->Channel("echo-1")->Send("still here", Soon()).ok());
  EXPECT_EQ(lines.At(0), "still here");
  ASSERT_TRUE(runtime_->Stop("deaf-1", seconds(1), Soon()).ok());
}

TEST_F(DockerAttachTest, TheEndOfItsInputEndsAServerThatIgnoresSigterm) {
  Run("echo-1", "trap '' TERM; cat; echo bye >&2; exit 4");
  const MonoTime begun = clock_.Now();
  ASSERT_TRUE(runtime_->Stop("echo-1", seconds(30), Soon()).ok());
  EXPECT_LT(clock_.Now() - begun, seconds(20));
  const InstanceReport report = Report("echo-1");
  ASSERT_TRUE(report.exit);
  EXPECT_EQ(report.exit->code, 4);
  EXPECT_TRUE(Logs("echo-1").ends_with(" bye\n")) << Logs("echo-1");
}

TEST_F(DockerAttachTest, ThatAServerEndedIsKnownToTheNextMcpletButALostSessionLooksDifferent) {
  Run("done-1", "exit 0");
  Run("echo-1", "exec cat");
  const std::shared_ptr<StdioChannel> channel = attachments_->Channel("echo-1");
  EXPECT_TRUE(Eventually([&] { return attachments_->Main("done-1").phase == MainState::Phase::kExited; }));
  EXPECT_EQ(attachments_->Channel("done-1"), nullptr);
  attachments_ = DockerAttachments::Create(state_, clock_).value();
  Open({.attach = "asked for"});
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(attachments_->Main("done-1").phase, MainState::Phase::kExited);
  EXPECT_EQ(attachments_->Main("echo-1").phase, MainState::Phase::kAbsent);
  EXPECT_TRUE(Eventually([&] { return Report("echo-1").state == InstanceState::kExited; }))
      << "its input did not end with our connection";
}

TEST_F(DockerAttachTest, AFloodOfStderrDoesNotHoldUpTheProtocol) {
  Run("loud-1", "(while :; do echo noise noise noise noise noise; done >&2) & exec cat");
  Lines lines(attachments_->Channel("loud-1"));
  for (size_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(attachments_->Channel("loud-1")->Send("line " + std::to_string(i), Soon()).ok());
    EXPECT_EQ(lines.At(i), "line " + std::to_string(i));
  }
}

TEST_F(DockerAttachTest, ALineAboveTheLimitBreaksTheChannel) {
  Run("long-1", "exec dd if=/dev/zero bs=1048576 count=" + std::to_string(limits::kChildLineBytes / 1048576 + 2));
  Lines lines(attachments_->Channel("long-1"));
  EXPECT_TRUE(Eventually([&] { return attachments_->Main("long-1").phase == MainState::Phase::kExited; }));
  EXPECT_NE(attachments_->Main("long-1").failure.find("line longer"), std::string::npos)
      << attachments_->Main("long-1").failure;
}

TEST_F(DockerAttachTest, UnreceivedOutputIsKeptUpToABoundAndThenTheServerWaits) {
  Run("chatty-1",
      "i=0; while [ $i -lt 40000 ]; do echo ${i}" + std::string(1000, 'x') + "; i=$((i+1)); done; exec cat");
  // 40 MB: more than we and the engine keep. Then all of it arrives, whole and in order.
  poll(nullptr, 0, 500);
  Lines lines(attachments_->Channel("chatty-1"));
  EXPECT_EQ(lines.At(0).substr(0, 2), "0x");
  EXPECT_EQ(lines.At(39'999).substr(0, 6), "39999x");
}

TEST_F(DockerAttachTest, AnEngineWhoseProcessNumbersAreNotOursMakesTheNextInstanceAttached) {
  // A /proc of another pid namespace: nothing that the engine names is in it.
  const std::string proc = state_ + "/proc";
  ASSERT_TRUE(MakeDirectories(proc).ok());
  shim_directory_ = state_ + "/shim";
  ASSERT_TRUE(MakeDirectories(shim_directory_).ok());
  Open({.shim_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim", .kernel = {.proc = proc}});
  ASSERT_TRUE(Make("echo-1", "exec cat").ok());
  EXPECT_TRUE(Report("echo-1").shim);
  EXPECT_EQ(runtime_->Start("echo-1", Soon()).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Report("echo-1").id, "") << "what nobody can speak with is left";
  Run("echo-2", "exec cat");
  EXPECT_NE(Report("echo-2").attached.find("pid namespace"), std::string::npos) << Report("echo-2").attached;
}

TEST_F(DockerAttachTest, AnEngineThatDoesNotSeeTheStateDirectoryGetsAnAttachedInstance) {
  Status made = Internal("not run");
  // A thread with a mount namespace of its own: what it mounts, the engine does not see.
  std::thread elsewhere([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", state_.c_str(), "tmpfs", 0, nullptr) != 0) {
      made = ErrnoStatus(errno, "mount namespace");
      return;
    }
    shim_directory_ = state_ + "/shim";
    const std::string shim = state_ + "/mcp-shim";
    EXPECT_TRUE(MakeDirectories(shim_directory_).ok());
    EXPECT_TRUE(WriteFileAtomically(shim, "#!", 0755).ok());
    Open({.shim_binary = shim});
    made = Make("echo-1", "exec cat");
  });
  elsewhere.join();
  ASSERT_TRUE(made.ok()) << made;
  EXPECT_NE(Report("echo-1").attached.find("does not see"), std::string::npos) << Report("echo-1").attached;
  ASSERT_TRUE(runtime_->Start("echo-1", Soon()).ok());
  Lines lines(attachments_->Channel("echo-1"));
  ASSERT_TRUE(attachments_->Channel("echo-1")->Send("hello", Soon()).ok());
  EXPECT_EQ(lines.At(0), "hello");
}

}  // namespace
}  // namespace mcpfleet
