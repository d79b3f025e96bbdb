// A real containerd, a node in it, and instances of a busybox image with any first process.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/strings.h"
#include "edge-runtime/containerd/containerd_runtime.h"
#include "tests/fakes/containerd_engine.h"

namespace mcpfleet {

class ContainerdTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    engine_ = ContainerdEngine::Shared(GetParam());
    if (engine_ == nullptr) GTEST_SKIP() << ContainerdEngine::WhyNot(GetParam());
    char pattern[] = "/tmp/mcpfleet-containerd-state-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    state_ = pattern;
    space_ = "mcpfleet-" + std::to_string(getpid());
    const Status used = engine_->Use(space_);
    ASSERT_TRUE(used.ok()) << used;
    runtime_ = Open();
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    for (const InstanceReport& report : runtime_->List(Soon()).value_or(std::vector<InstanceReport>())) {
      const Status removed = runtime_->Remove(report.id, Soon());
      EXPECT_TRUE(removed.ok()) << removed;
    }
    const Status cleared = runtime_->CollectArtifacts({}, int64_t{1} << 40, Soon());
    EXPECT_TRUE(cleared.ok()) << cleared;
    runtime_.reset();
    EXPECT_TRUE(RemoveTree(state_).ok());
  }
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    for (const Deadline deadline = Soon(); !deadline.Expired(); poll(nullptr, 0, 10)) {
      if (condition()) return true;
    }
    return false;
  }
  ContainerdOptions Options() const {
    return {.socket_path = engine_->socket(),
            .space = space_,
            .snapshotter = engine_->snapshotter(),
            .node_name = "edge-01",
            .shim_binary = shim_,
            .log_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-log",
            .state_directory = state_,
            .hosts_directory = "",
            .cgroup_parent = "mcpfleet-test-containerd",
            .network = {.bridge = "mcpft" + std::to_string(getpid() % 100000), .subnet = "10.213.0.0/24"}};
  }
  // As the next mcplet does.
  std::unique_ptr<ContainerdRuntime> Open() { return ContainerdRuntime::Create(Options(), clock_).value(); }
  InstanceSpec Spec(const std::string& id, const std::string& script) {
    InstanceSpec spec{.id = id, .server = {"default", "echo"}, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = engine_->image(), .pull_policy = PullPolicy::kNever};
    spec.spec.args = {"sh", "-c", script};
    spec.spec.resources.memory_bytes = int64_t{32} << 20;
    const StatusOr<Artifact> artifact = runtime_->Pull(spec.spec, nullptr, Soon());
    EXPECT_TRUE(artifact.ok()) << artifact.status();
    if (artifact.ok()) spec.artifact = *artifact;
    return spec;
  }
  void Run(const InstanceSpec& spec) {
    const Status created = runtime_->Create(spec, Soon());
    ASSERT_TRUE(created.ok()) << created;
    const Status started = runtime_->Start(spec.id, Soon());
    ASSERT_TRUE(started.ok()) << started;
  }
  std::optional<InstanceReport> Find(const std::string& id) {
    const StatusOr<std::vector<InstanceReport>> list = runtime_->List(Soon());
    EXPECT_TRUE(list.ok()) << list.status();
    for (const InstanceReport& report : list.value_or(std::vector<InstanceReport>())) {
      if (report.id == id) return report;
    }
    return std::nullopt;
  }
  std::optional<InstanceReport> Await(const std::string& id, InstanceState state) {
    std::optional<InstanceReport> report;
    EXPECT_TRUE(Eventually([&] { return (report = Find(id)) && report->state == state; }))
        << id << " never became " << ToString(state);
    return report;
  }
  std::string LogOf(const std::string& id, LogOptions options = {}) {
    std::string text;
    EXPECT_TRUE(runtime_
                    ->Logs(
                        id, options, [&](std::string_view line) { return text += line, true; }, Soon())
                    .ok());
    return text;
  }
  bool Logged(const std::string& id, const std::string& text) {
    return Eventually([&] { return LogOf(id).find(text) != std::string::npos; });
  }
  std::string Ctr(const std::vector<std::string>& arguments) {
    const StatusOr<std::string> said = engine_->Ctr(space_, arguments);
    EXPECT_TRUE(said.ok()) << said.status();
    return said.value_or("");
  }

  static constexpr char kForever[] = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
  ContainerdEngine* engine_ = nullptr;
  SystemClock clock_;
  std::string state_, space_, shim_;
  std::unique_ptr<ContainerdRuntime> runtime_;
};

inline std::string VersionName(const testing::TestParamInfo<const char*>& info) {
  std::string name = "Containerd" + std::string(info.param);
  std::erase(name, '.');
  return name;
}

}  // namespace mcpfleet
