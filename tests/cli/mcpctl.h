// Runs the real mcpctl against a served embedded store, with a context file of its own and nothing of the user's
// environment.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "crd/server_status.h"
#include "tests/store/testing.h"

namespace mcpfleet::cli {

struct Ran {
  int code = -1;  // 128 + signal when it was killed
  std::string out, err;
};

class McpctlTest : public ::testing::Test {
 protected:
  McpctlTest();

  // `mcpctl ARGUMENTS`, with `input` on stdin; fails the test when it takes more than 30 s.
  Ran Run(const std::vector<std::string>& arguments, const std::string& input = "");
  // Another program, in the same environment.
  Ran RunProgram(const std::string& program, const std::vector<std::string>& words, const std::string& input = "");
  // The same, expected to succeed: its stdout.
  std::string Out(const std::vector<std::string>& arguments, const std::string& input = "");
  // A file in the test's directory; its path.
  std::string File(const std::string& name, const std::string& content, int mode = 0600);
  std::string Read(const std::string& name);
  static std::string Manifest(const std::string& name, const std::string& version = "1",
                              const std::string& labels = "");
  // Applies them as separate changes, so that each is a snapshot.
  void Apply(const std::string& manifests);
  // What a node reports.
  void Report(const NodeStatus& node);
  static ServerStatus Ready(const std::string& name, int64_t generation,
                            ConditionStatus status = ConditionStatus::kTrue, const std::string& reason = "Verified");
  static NodeStatus Node(const std::string& name, std::vector<ServerStatus> servers);
  // "trust.epoch.revision" of the head, "" for an empty store: what tells whether anything was written.
  std::string Head();
  size_t Keys();

  testing::TempDir dir_;
  testing::ServedStore store_;
  std::map<std::string, std::string> env_;
};

}  // namespace mcpfleet::cli
