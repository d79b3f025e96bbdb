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
// Tools: echo{message} who stats exit{code} oom fork_bomb grandchildren{count}, and what a conversation needs:
//   nonce                   text of this process alone
//   client                  what the client says of itself
//   sleep{ms, message}      answers the message after that time; others are answered meanwhile
//   ask{method, params}     asks the client, and answers what it said
//   progress{count}         that many notifications before the answer
//   log{message}            one line of log before the answer
//   change_tools{ms}        one tool more from then on
// Over HTTP it answers requests only, so of the last four none is any use there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

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
  using Say = std::function<void(const Json& message)>;
  // say: for what is no answer, or a late one; null where there is only the answer.
  explicit Conversation(const Options& options, Say say = nullptr);
  // The answer to one message, or null when it wants none, or not yet.
  Json Answer(const Json& message);
  // Says the answers whose time has come. Milliseconds until the next one; -1: there is none.
  int WakeUp();

 private:
  struct Sleeper {
    Json id;
    int64_t due_ms = 0;
    std::string message;
    bool changes_tools = false;  // instead of an answer
  };

  // Nullopt: no such method; null: it is said later.
  std::optional<Json> Result(const Json& message);
  Json CallTool(const Json& id, const Json& params);
  Json Sleep(const Json& id, const Json& arguments);
  Json Ask(const Json& id, const Json& params, const Json& arguments);
  Json Progress(const Json& params, const Json& arguments);
  Json Listen(const Json& id, const Json& params);
  Json Tools() const;
  Json Stats() const;
  void ChangeTools();
  void TakeAnswer(const Json& message);
  void TakeNotification(const Json& message);
  void Notify(const std::string& method, const Json& params) const;
  Json AnswerTo(const Json& id, Json result) const;

  const Options& options_;
  const Say say_;
  const std::string nonce_;
  int64_t initialized_ = 0, calls_ = 0, messages_ = 0, cancelled_ = 0, more_tools_ = 0, asks_ = 0;
  std::string level_;
  Json client_;
  std::vector<Sleeper> sleepers_;
  std::map<std::string, Json> asked_;  // our request -> the call that it is for
  std::set<Json> listeners_;           // ids of subscriptions/listen
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
