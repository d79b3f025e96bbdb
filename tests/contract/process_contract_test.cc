#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "edge-runtime/process/process_runtime.h"
#include "tests/contract/runtime_contract.h"

namespace mcpfleet {
namespace {

// In place of the shim this test program runs inside and execs what stands behind "--", before its own main: so the
// payload is the first process.
__attribute__((constructor)) void StandInForTheShim(int argc, char** argv, char** env) {
  if (argc < 1 || strcmp(argv[0], "/.mcp-shim") != 0) return;
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], "--") == 0) execve(argv[i + 1], argv + i + 1, env);
  }
  _exit(126);
}

std::string Self() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

// The kernel is the engine; a node is a state directory.
class ProcessUnderTest final : public RuntimeUnderTest {
 public:
  explicit ProcessUnderTest(std::string directory) : directory_(std::move(directory)) {}
  ~ProcessUnderTest() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }
  std::unique_ptr<ContainerRuntime> Open(const std::string& node) override {
    StatusOr<std::unique_ptr<ProcessRuntime>> runtime =
        ProcessRuntime::Create({.state_directory = directory_ + "/" + node,
                                .sandbox_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-sandbox",
                                .shim_binary = Self(),
                                .node_name = node,
                                .clock = &clock_,
                                .cgroup_parent = "mcpfleet-test"});
    EXPECT_TRUE(runtime.ok()) << runtime.status();
    return runtime.ok() ? *std::move(runtime) : nullptr;
  }
  std::optional<InstanceSpec> Spec(const std::string& id, Payload payload) override {
    InstanceSpec spec{.id = id, .server = {"default", "weather"}, .uid = "u-1", .generation = 7, .revision = "r1"};
    spec.spec.source = ProcessSource{.path = "/usr/bin/busybox"};
    spec.spec.args = {"sh", "-c", Script(payload)};
    spec.spec.resources.memory_bytes = 32 << 20;
    StatusOr<Artifact> artifact = Open("puller")->Pull(spec.spec, nullptr, Deadline::After(std::chrono::seconds(30)));
    if (!artifact.ok()) return std::nullopt;
    spec.artifact = *artifact;
    return spec;
  }
  bool AddForeign(const std::string&) override { return false; }
  bool ForeignRuns(const std::string&) override { return false; }

 private:
  static std::string Script(Payload payload) {
    // Nothing inside can kill the first process, but its memory limit does.
    if (payload == Payload::kKillsItself) return "x=0123456789; while :; do x=$x$x; done";
    return ContainerScript(payload);
  }

  const std::string directory_;
  SystemClock clock_;
};

std::unique_ptr<RuntimeUnderTest> MakeProcessUnderTest(std::string* why_not) {
  char directory[] = "/tmp/mcpfleet-contract-XXXXXX";
  if (mkdtemp(directory) == nullptr) {
    *why_not = "no temporary directory";
    return nullptr;
  }
  auto world = std::make_unique<ProcessUnderTest>(directory);
  *why_not = world->Open("probe")->Check(Deadline::After(std::chrono::seconds(5))).reason;
  if (!why_not->empty()) return nullptr;
  return world;
}

INSTANTIATE_TEST_SUITE_P(Process, RuntimeContract, testing::Values(ContractCase{"Process", &MakeProcessUnderTest}),
                         ContractCaseName);

}  // namespace
}  // namespace mcpfleet
