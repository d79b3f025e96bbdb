// mcp_test_server: an MCP server that behaves, or misbehaves, as its arguments and its tools say. Static, so that the
// same file runs in mcpfleet's sandbox and alone in a container image.
//
// Arguments:
//   --name NAME             serverInfo.name, and the text that the tool `who` answers
//   --http PORT             Streamable HTTP on this port of 127.0.0.1 instead of stdio; 0 takes a free one
//   --port-file PATH        where the port is written then
//   --modern                speaks 2026-07-28 only
//   --crash-after MS        says so on stderr and exits with code 3 this long after its start
//   --ignore-sigterm        and the end of its input: only SIGKILL ends it
//   --grandchildren N       N processes in sessions of their own that ignore SIGTERM, made at the start
//   --garbage               lines that are no JSON, and never an answer
//   --flood-stdout MB       as many notifications at once
//   --flood-stderr MB       as many lines
//   --mute                  reads everything and answers nothing
// Tools: echo{message} who stats exit{code} oom fork_bomb grandchildren{count}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace mcpfleet::test_server {

using Json = nlohmann::json;

struct Options {
  std::string name = "test-server";
  int http_port = -1;
  std::string port_file;
  bool modern = false, ignore_sigterm = false, garbage = false, mute = false;
  int64_t crash_after_ms = -1;
  int grandchildren = 0, flood_stdout_mb = 0, flood_stderr_mb = 0;
};

// One conversation: over stdio one for the process, over HTTP one for all.
class Conversation {
 public:
  explicit Conversation(const Options& options) : options_(options) {}
  // The answer to one message, or null when it wants none.
  Json Answer(const Json& message);

 private:
  Json Result(const Json& message);
  Json CallTool(const Json& params);

  const Options& options_;
  int64_t initialized_ = 0, calls_ = 0, messages_ = 0;
};

// misbehave.cc
void StartCrashTimer(int64_t milliseconds);
void SpawnGrandchildren(int count);
void EatMemory();
int64_t ForkUntilRefused();
void FloodStdout(int megabytes);
void FloodStderr(int megabytes);

// http.cc: until the end of the process.
int ServeHttp(const Options& options);

}  // namespace mcpfleet::test_server
