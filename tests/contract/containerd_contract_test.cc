#include <unistd.h>

#include "base/fd.h"
#include "edge-runtime/containerd/containerd_runtime.h"
#include "tests/contract/runtime_contract.h"
#include "tests/fakes/containerd_engine.h"

namespace mcpfleet {
namespace {

// Without the shim: argv is the first process, so that the payload can be anything.
class ContainerdUnderTest final : public RuntimeUnderTest {
 public:
  explicit ContainerdUnderTest(ContainerdEngine& engine) : engine_(engine) {
    char pattern[] = "/tmp/mcpfleet-containerd-contract-XXXXXX";
    state_ = mkdtemp(pattern) == nullptr ? "" : pattern;
    EXPECT_FALSE(state_.empty());
    const Status used = engine_.Use(kSpace);
    EXPECT_TRUE(used.ok()) << used;
  }
  ~ContainerdUnderTest() override {
    for (const std::string& name : foreign_) {
      engine_.Ctr(kSpace, {"tasks", "kill", "--signal", "SIGKILL", name}).IgnoreError();
      engine_.Ctr(kSpace, {"tasks", "delete", "--force", name}).IgnoreError();
      engine_.Ctr(kSpace, {"containers", "delete", name}).IgnoreError();
    }
    EXPECT_TRUE(RemoveTree(state_).ok());
  }
  std::unique_ptr<ContainerRuntime> Open(const std::string& node) override {
    return ContainerdRuntime::Create({.socket_path = engine_.socket(),
                                      .space = kSpace,
                                      .snapshotter = engine_.snapshotter(),
                                      .node_name = node,
                                      .log_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-log",
                                      .state_directory = state_ + "/" + node,
                                      .cgroup_parent = "mcpfleet-test-containerd"},
                                     clock_)
        .value();
  }
  std::optional<InstanceSpec> Spec(const std::string& id, Payload payload) override {
    return ContainerSpec(*Open("puller"), engine_.image(), id, payload);
  }
  bool AddForeign(const std::string& name) override {
    foreign_.push_back(name);
    // ctr unpacks nothing by itself; the pull of the first spec did.
    EXPECT_TRUE(Spec("unpack", Payload::kRunsUntilStopped));
    const StatusOr<std::string> run =
        engine_.Ctr(kSpace, {"run", "--detach", "--null-io", "--snapshotter", engine_.snapshotter(),
                             "docker.io/" + engine_.image(), name, "/bin/busybox", "sleep", "1000"});
    EXPECT_TRUE(run.ok()) << run.status();
    return true;
  }
  bool ForeignRuns(const std::string& name) override {
    const StatusOr<std::string> list = engine_.Ctr(kSpace, {"tasks", "ls"});
    if (!list.ok()) return false;
    const size_t line = list->find(name);
    return line != std::string::npos &&
           list->substr(line, list->find('\n', line) - line).find("RUNNING") != std::string::npos;
  }

  bool RunsBusybox() const override { return true; }

 private:
  static constexpr char kSpace[] = "mcpfleet-contract";
  ContainerdEngine& engine_;
  SystemClock clock_;
  std::string state_;
  std::vector<std::string> foreign_;
};

template <const char* version>
std::unique_ptr<RuntimeUnderTest> MakeContainerdUnderTest(std::string* why_not) {
  ContainerdEngine* engine = ContainerdEngine::Shared(version);
  if (engine == nullptr) {
    *why_not = ContainerdEngine::WhyNot(version);
    return nullptr;
  }
  return std::make_unique<ContainerdUnderTest>(*engine);
}

constexpr char k16[] = "1.6", k17[] = "1.7", k2[] = "2";

INSTANTIATE_TEST_SUITE_P(Containerd, RuntimeContract,
                         testing::Values(ContractCase{"Containerd16", &MakeContainerdUnderTest<k16>},
                                         ContractCase{"Containerd17", &MakeContainerdUnderTest<k17>},
                                         ContractCase{"Containerd2", &MakeContainerdUnderTest<k2>}),
                         ContractCaseName);

}  // namespace
}  // namespace mcpfleet
