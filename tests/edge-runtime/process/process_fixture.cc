#include "tests/edge-runtime/process/process_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "edge-runtime/process/instance_directory.h"

namespace mcpfleet {
namespace {

// The stand-in for the shim, before main of the test program: argv is "/.mcp-shim" … "--" <server argv>.
__attribute__((constructor)) void StandInForTheShim(int argc, char** argv, char** env) {
  if (argc < 1 || strcmp(argv[0], "/.mcp-shim") != 0) return;
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], "--") == 0) execve(argv[i + 1], argv + i + 1, env);
  }
  _exit(126);
}

}  // namespace

void ProcessTest::SetUp() {
  char directory[] = "/tmp/mcpfleet-process-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  state_ = directory;
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  ASSERT_GT(n, 0);
  options_ = {.state_directory = state_,
              .sandbox_binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-sandbox",
              .shim_binary = std::string(self, static_cast<size_t>(n)),
              .node_name = "node-1",
              .clock = &clock_,
              .cgroup_parent = "mcpfleet-test"};
  Recreate();
  if (!runtime_->Check(Soon()).available) GTEST_SKIP() << runtime_->Check(Soon()).reason;
}

void ProcessTest::TearDown() {
  if (runtime_ != nullptr) {
    StatusOr<std::vector<InstanceReport>> left = runtime_->List(Soon());
    ASSERT_TRUE(left.ok()) << left.status();
    for (const InstanceReport& report : *left) EXPECT_TRUE(runtime_->Remove(report.id, Soon()).ok());
  }
  EXPECT_TRUE(RemoveTree(state_).ok());
}

void ProcessTest::Recreate() {
  runtime_.reset();
  StatusOr<std::unique_ptr<ProcessRuntime>> runtime = ProcessRuntime::Create(options_);
  ASSERT_TRUE(runtime.ok()) << runtime.status();
  runtime_ = *std::move(runtime);
}

InstanceSpec ProcessTest::Instance(const std::string& id, std::vector<std::string> argv) const {
  InstanceSpec spec{.id = id, .server = {"default", "weather"}, .uid = "u-1", .generation = 3, .revision = "r-1"};
  spec.spec.source = ProcessSource{.path = argv[0]};
  spec.spec.command = std::move(argv);
  spec.artifact.digest = "sha256:0";
  return spec;
}

InstanceSpec ProcessTest::Shell(const std::string& id, const std::string& script) const {
  return Instance(id, {"/usr/bin/busybox", "sh", "-c", script});
}

Status ProcessTest::Run(const InstanceSpec& spec) {
  RETURN_IF_ERROR(runtime_->Create(spec, Soon()));
  return runtime_->Start(spec.id, Soon());
}

InstanceReport ProcessTest::Report(const std::string& id) {
  StatusOr<std::vector<InstanceReport>> reports = runtime_->List(Soon());
  if (reports.ok()) {
    for (const InstanceReport& report : *reports) {
      if (report.id == id) return report;
    }
  }
  return {};
}

InstanceReport ProcessTest::WaitForExit(const std::string& id) {
  EXPECT_TRUE(Eventually([&] { return Report(id).state == InstanceState::kExited; })) << id << " does not end";
  return Report(id);
}

std::string ProcessTest::LogText(const std::string& id, const LogOptions& options) {
  std::string text;
  const auto sink = [&text](std::string_view line) {
    text += line.substr(line.find(' ') + 1);
    return true;
  };
  EXPECT_TRUE(runtime_->Logs(id, options, sink, Soon()).ok());
  return text;
}

std::string ProcessTest::OutputOf(const InstanceSpec& spec) {
  const Status status = Run(spec);
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return "";
  WaitForExit(spec.id);
  return LogText(spec.id);
}

int ProcessTest::MonitorOf(const std::string& id) const { return MonitorPid(InstanceDirectory(id)); }

}  // namespace mcpfleet
