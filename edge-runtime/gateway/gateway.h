// The gateway of a node: one HTTP listener, each MCP server of the node at /<namespace>/<name>/mcp (Streamable HTTP,
// both protocol eras on one URL), /<namespace>/<name>/sse (HTTP+SSE of revision 2024-11-05) and
// /<namespace>/<name>/healthz (200 only when it is Ready).
//
//   ASSIGN_OR_RETURN(auto gateway, Gateway::Create(options, deps));
//   gateway->ServerChanged(key);   // from the controller, whenever what clients get changes
//   gateway->Stop();               // sessions go on with the next mcplet
//
// All of it runs on the listener's one event loop. ServerChanged and the reads of Traffic are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/http/server.h"
#include "base/status.h"
#include "controller/ports/client_sessions.h"
#include "controller/ports/gateway_metrics.h"
#include "controller/ports/gateway_servers.h"
#include "controller/ports/traffic.h"
#include "edge-runtime/gateway/settings.h"

namespace mcpfleet::gateway {

struct GatewayOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 8700;                    // 0: the system's choice
  std::vector<std::string> public_urls;    // what clients write, "https://mcp.example.com"; tells hosts and origins
  std::vector<std::string> allowed_hosts;  // beside those of the public URLs
  std::vector<std::string> allowed_origins;
  std::vector<std::string> cors_origins;  // web pages that may read answers
  size_t max_body = size_t{4} << 20;
  size_t max_connections = 16384;
  size_t max_sessions = 256;          // of one server
  std::string access_log, audit_log;  // files; "": none
  bool log_arguments = false;         // of tool calls, there
  std::string keys_directory;         // of issuers' keys; "": not kept over a restart
  std::string sessions_directory;     // of sessions without a child; "": they end with mcplet
  GatewayLimits limits;
  http::TlsFiles tls;  // empty: clients come without TLS
  // A unix socket for the tunnel, "" for none. Whoever comes by it may ask only for names that GatewayDeps::names_of
  // gives: neither public URLs nor loopback names are hosts there.
  std::string tunnel_socket;
};

// All outlive the gateway.
struct GatewayDeps {
  GatewayServers& servers;
  ClientSessions& sessions;
  GatewayMetrics& metrics;
  const Clock& clock;
  std::function<WallTime()> trusted_time;  // what expiry is judged by; the clock's wall time when empty
  // Names that clients may call this one server by, beside what holds for all (lower case; by https): those of the
  // tunnel. The first one stands in what OAuth clients are told. Empty function: none. Thread-safe; ServerChanged must
  // follow a change.
  std::function<std::vector<std::string>(const ServerKey& server)> names_of = nullptr;
  // Begins to connect inside another network namespace; must not wait (shim/network.h).
  std::function<StatusOr<UniqueFd>(int pid, const std::string& host, uint16_t port)> connect_in_namespace;
};

class Gateway : public GatewayNews, public Traffic {
 public:
  // Listening when it returns. AlreadyExists: the port is taken; InvalidArgument: an option can't be used.
  static StatusOr<std::unique_ptr<Gateway>> Create(const GatewayOptions& options, const GatewayDeps& deps);
  // The address that it listens on.
  virtual uint16_t port() const = 0;
  // "http://127.0.0.1:8700/default/weather/mcp" (with TLS: https), or below the first public URL.
  virtual std::string EndpointOf(const ServerKey& server) const = 0;
  // Why the files of the certificate, which have changed, are not used; "" when there is nothing to say. Thread-safe.
  virtual std::string certificate_problem() const = 0;
  // Closes every connection. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace mcpfleet::gateway
