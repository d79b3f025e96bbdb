// The stdio side of an MCP endpoint, for clients that only start programs: lines of JSON-RPC in, POSTed one by one;
// what the endpoint answers and sends on its own out, as lines. The client's own messages go through as they are, in
// both eras; what HTTP wants besides (session, version, names in headers) is taken from them.
//
//   StdioProxy proxy({.address = address, .in = 0, .out = 1, .complain = …});
//   Status status = proxy.Run();
//
// Every request gets exactly one answer: the endpoint's, or an error of ours; a cancelled one gets none, as the
// protocol wants it. In the legacy era the session's own stream is read too and taken up again where it broke; a
// session that the endpoint has lost (404) is opened anew with the client's own handshake, and the request that found
// out is sent again. Requests run side by side, at most 64; what changes the session is done in the order of the lines.
//
// Run ends when `in` ends, `out` breaks or Stop is called: after the answers under way, or `farewell`. Run belongs to
// one thread; Stop may come from any.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/mutex.h"
#include "cli/mcp_exchange.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::cli {

class StdioProxy {
 public:
  static constexpr size_t kThreads = 64, kWaiting = 1024;

  struct Options {
    McpAddress address;
    int in = 0, out = 1;
    std::function<void(const std::string&)> complain;  // a line for stderr; from any thread
    Duration request_timeout = std::chrono::hours(1);  // of one request; listening ones have none
    Duration farewell = std::chrono::seconds(5);
  };
  explicit StdioProxy(Options options);
  ~StdioProxy();

  Status Run();
  void Stop();

 private:
  // A request of the client that has no answer yet.
  struct Job {
    std::string id, method, line;
    Json params;
    std::string version;  // modern: the revision that the message names; "": legacy
    bool cancelled = false, listens = false;
    HttpLine* at = nullptr;  // where it is under way
  };
  using JobPtr = std::shared_ptr<Job>;  // shared by the table, the queue and the worker
  struct SessionState {
    std::string id, version;
    uint64_t generation = 0;  // rises with each session
  };

  Status ReadLines();
  void HandleLine(const std::string& line);
  void HandleRequest(const std::string& line, mcp::Message message);
  void HandleNotification(const std::string& line, const mcp::Message& message);
  void HandleCancelled(const std::string& line, const mcp::Message& message);
  void Initialize(const std::string& line, const mcp::Message& message);
  void PostAside(const std::string& line, const mcp::Message& message);
  void Enqueue(const JobPtr& job);
  void Work();
  void Serve(const JobPtr& job, HttpLine& line);
  // True when that was the answer.
  bool Deliver(const JobPtr& job, const std::string& text);
  bool Settle(const JobPtr& job) LOCKS_EXCLUDED(mu_);
  void Fail(const JobPtr& job, const Status& why);
  Status Renew(uint64_t seen);
  StatusOr<SessionState> OpenSession(HttpLine& line, const std::string& initialize, const OnMessage& on_other);
  void ListenToSession();
  SessionState session() const LOCKS_EXCLUDED(mu_);
  bool Awaited() const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool OutBroken() LOCKS_EXCLUDED(out_mu_);
  void Finish();
  void Write(std::string text) LOCKS_EXCLUDED(out_mu_);
  void Complain(const std::string& text);

  const Options options_;
  UniqueFd wake_;  // an eventfd: Run's loop looks whether it should end
  ToolHeaders tool_headers_;
  HttpLine aside_;    // notifications, answers and the handshake: in order
  HttpLine renewal_;  // a new session
  HttpLine listening_;

  Mutex out_mu_;
  bool out_broken_ GUARDED_BY(out_mu_) = false;

  // Held over Cut and Mend of a worker's line too: the line must not have gone on to another request meanwhile.
  mutable Mutex mu_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mu_) = false;               // no more lines
  bool ended_ GUARDED_BY(mu_) = false;                  // the workers shall end
  std::map<std::string, JobPtr> jobs_ GUARDED_BY(mu_);  // by id
  std::deque<JobPtr> queue_ GUARDED_BY(mu_);
  size_t idle_ GUARDED_BY(mu_) = 0;
  std::vector<std::thread> workers_;  // Run's thread only
  std::thread listener_;              // so too
  SessionState session_ GUARDED_BY(mu_);
  bool renewing_ GUARDED_BY(mu_) = false;
  std::string initialize_ GUARDED_BY(mu_), initialized_ GUARDED_BY(mu_);  // the client's own lines
};

}  // namespace mcpfleet::cli
