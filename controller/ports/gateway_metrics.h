// What the gateway counts. Implementations are thread-safe and must not block.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet {

// Why requests are refused: the words that the metric has as labels.
inline constexpr std::string_view kGatewayRejections[] = {
    "host",   "origin",  "auth", "rate_limit", "accept",   "content_type", "body", "session",
    "header", "version", "meta", "method",     "sessions", "not_ready",    "tool", "isolation"};

class GatewayMetrics {
 public:
  virtual ~GatewayMetrics() = default;
  // A request of a client was answered (or given up by it). `method`: a known MCP method, "other", or the HTTP method
  // of what is no MCP request; `code`: the HTTP status.
  virtual void GatewayRequest(const ServerKey& server, std::string_view method, int code, Duration took) = 0;
  // A server answered a tool call with an error, or with a result that says `isError`.
  virtual void GatewayToolFailed(const ServerKey& server) = 0;
  // Refused before it reached a server; one of kGatewayRejections.
  virtual void GatewayRejected(std::string_view reason) = 0;
  virtual void GatewaySessions(const ServerKey& server, int open) = 0;
  virtual void GatewaySessionEnded(const ServerKey& server, Duration lived) = 0;
  // The files of the gateway's certificate were read: when it expires, or why they are not used.
  virtual void GatewayCertificate(const StatusOr<WallTime>& expires) = 0;
  virtual void GatewayForget(const ServerKey& server) = 0;
};

}  // namespace mcpfleet
