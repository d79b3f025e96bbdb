// Messages on their way to an HTTP upstream: what a link must know of each, and which may go now.
//
// Pure state; not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"
#include "edge-runtime/mcp/modern_headers.h"

namespace mcpfleet::gateway {

// A message and what its POST depends on.
struct Outbound {
  std::string line;
  std::string id;              // raw token; "" unless it is a request
  std::string method;          // "" for answers
  std::string modern_version;  // from the _meta of a modern request; "" for all else
  std::string name;            // of a modern request, for Mcp-Name
  std::string cancels;         // raw id of the request that this notification cancels

  bool request() const { return !id.empty(); }
  bool modern() const { return !modern_version.empty(); }
  // Later messages wait until this one is through: the handshake of a legacy session.
  bool opens_session() const { return method == "initialize" && !modern(); }
  bool barrier() const { return opens_session() || method == "notifications/initialized"; }
};

// InvalidArgument when `line` is no JSON-RPC message.
StatusOr<Outbound> ReadOutbound(std::string_view line);
// Headers of a modern request, by the marks of the tools that the server has listed.
mcp::HeaderFields ModernHeadersOf(const Outbound& message, const mcp::ToolHeaders& tools);

// Which messages may go: so many requests at once as a link may have connections, notifications and answers one after
// the other in their order, nothing past a barrier. Notifications and answers never wait for requests: the request
// that is under way may be waiting for the answer.
class OutboundQueue {
 public:
  static constexpr size_t kMaxRequests =
      62;  // of 64 connections: one is for notifications, one for the server's stream
  static constexpr size_t kMaxWaiting = 1024;
  static constexpr size_t kMaxWaitingBytes = size_t{32} << 20;

  // ResourceExhausted: too many wait.
  Status Add(Outbound message);
  // The next one that may go; it is under way from now on.
  std::optional<Outbound> Next();
  // A barrier is through.
  void PassBarrier() { barrier_ = false; }
  // A message is over, and its connection with it. Does not pass its barrier.
  void End(const Outbound& message);
  // Forgets a request that still waits; false when there is none.
  bool Remove(std::string_view id);
  bool Waits(std::string_view id) const;
  std::deque<Outbound> TakeAll();

 private:
  std::deque<Outbound> waiting_;
  size_t waiting_bytes_ = 0;
  size_t requests_ = 0;  // under way
  bool one_way_ = false, barrier_ = false;
};

}  // namespace mcpfleet::gateway
