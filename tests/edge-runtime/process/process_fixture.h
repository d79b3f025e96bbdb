// A real ProcessRuntime over a temporary state directory. In place of mcp-shim it runs this very test program, which
// execs what stands behind "--" (process_fixture.cc): so the server itself is PID 1 of the instance.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/fd.h"
#include "edge-runtime/process/process_runtime.h"

namespace mcpfleet {

// For busybox sh: takes memory until it is killed.
inline constexpr char kMemoryHog[] = "x=0123456789; while :; do x=$x$x; done";

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }

// Runs until `condition` holds; false after 20 s.
template <typename Condition>
bool Eventually(Condition condition) {
  for (const Deadline deadline = Soon(); !deadline.Expired(); usleep(2000)) {
    if (condition()) return true;
  }
  return condition();
}

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // As mcplet after a restart: another object over the same state.
  void Recreate();
  // An instance whose server is `argv`.
  InstanceSpec Instance(const std::string& id, std::vector<std::string> argv) const;
  // `script` for busybox sh.
  InstanceSpec Shell(const std::string& id, const std::string& script) const;
  // Creates and starts.
  Status Run(const InstanceSpec& spec);
  InstanceReport Report(const std::string& id);
  InstanceReport WaitForExit(const std::string& id);
  // All of its log without the times.
  std::string LogText(const std::string& id, const LogOptions& options = {});
  // Runs a shell script to its end in an instance of this id; what it printed.
  std::string OutputOf(const InstanceSpec& spec);
  std::string InstanceDirectory(const std::string& id) const { return state_ + "/process/instances/" + id; }
  int MonitorOf(const std::string& id) const;

  std::string state_;
  SystemClock clock_;
  ProcessRuntimeOptions options_;
  std::unique_ptr<ProcessRuntime> runtime_;
};

}  // namespace mcpfleet
