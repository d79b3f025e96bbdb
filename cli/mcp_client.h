// mcpctl as an MCP client of one endpoint: blocking calls over Streamable HTTP, in the modern era (no session, every
// request stands alone) where the endpoint has it, else in a legacy session that is deleted at the end.
//
//   ASSIGN_OR_RETURN(auto client, McpClient::Connect("http://127.0.0.1:8700/default/weather/mcp", {}, deadline));
//   ASSIGN_OR_RETURN(Json tools, client->List("tools/list", "tools", deadline));
//
// It offers no capabilities: a server that asks for something (elicitation, sampling) is refused, and a result that
// asks is an error that says so. One thread, but Interrupt may come from any.
//
// Errors: Unavailable (nobody there, broken off), Unauthenticated, PermissionDenied, NotFound, ResourceExhausted (busy,
// or larger than 64 MiB), DeadlineExceeded, Cancelled (interrupted), FailedPrecondition (the server's own error).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/mcp_exchange.h"
#include "edge-runtime/mcp/handshake.h"

namespace mcpfleet::cli {

class McpClient {
 public:
  struct Options {
    std::string token;
    std::string ca_file;                                  // of an https endpoint; "": the system's
    mcp::Era era = mcp::Era::kUnknown;                    // kLegacy: a session, whatever else the endpoint speaks
    std::function<void(const std::string&)> on_progress;  // a line for a terminal; unset: progress isn't asked for
    std::function<void(const std::string&)> on_request;   // method and HTTP status, for -v
  };

  // The handshake is part of it.
  static StatusOr<std::unique_ptr<McpClient>> Connect(const std::string& url, Options options, Deadline deadline);
  // Deletes the session, if there is one; takes at most a second.
  ~McpClient();

  const mcp::PeerInfo& peer() const { return handshake_->peer(); }
  // What the server said of itself: the result of server/discover or initialize.
  const Json& about() const { return about_; }
  StatusOr<Json> Call(const std::string& method, const Json& params, Deadline deadline);
  // All pages of a list: the elements of `member` of the results.
  StatusOr<Json> List(const std::string& method, const std::string& member, Deadline deadline);
  // The call under way returns Cancelled, the server is told, and no other call is made. Thread-safe.
  void Interrupt();

 private:
  struct Reply {
    std::optional<mcp::Message> answer;
    Exchange exchange;
  };

  McpClient(McpAddress address, Options options);
  Status Handshake(Deadline deadline);
  StatusOr<Reply> Send(const mcp::Outgoing& message, const Json& params, bool modern, Deadline deadline);
  bool Take(const std::string& text, const std::string& id, bool modern, Reply* reply);
  void AnswerServer(const mcp::Message& request);
  void ShowProgress(const Json& params);
  void TellCancelled(const std::string& id, const std::string& reason);
  Status Refused(Reply* reply) const;
  StatusOr<Json> ResultOf(const std::string& method, const mcp::Message& answer) const;

  const McpAddress address_;
  const Options options_;
  HttpLine line_;
  HttpLine side_line_;  // for what has to be said while the first waits for an answer
  std::atomic<bool> interrupted_{false};
  ToolHeaders tool_headers_;
  std::optional<mcp::Handshake> handshake_;  // set once connected
  Json about_;
  std::string version_, session_id_;  // legacy
  uint64_t next_id_ = 1;
};

// All pages of a list through `call`. FailedPrecondition when the server does not list, or never ends.
using CallMethod = std::function<StatusOr<Json>(const std::string& method, const Json& params)>;
StatusOr<Json> ListPages(const CallMethod& call, const std::string& method, const std::string& member);

}  // namespace mcpfleet::cli
