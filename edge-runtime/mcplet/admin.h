// mcplet's admin API: what mcpctl, Prometheus and a person with curl ask of this node.
//
//   GET  /livez /healthz            200 while the loop turns
//   GET  /readyz[?verbose]          200, or 503 with the reasons
//   GET  /metrics                   Prometheus text
//   GET  /v1/status                 NodeStatus
//   GET  /v1/identity               {"node", "keys": {"signing", "sealing"}}: the node's public keys, base64url
//   GET  /v1/servers/{ns}/{name}    one server's status
//   GET  /v1/servers/{ns}/{name}/logs?follow&previous&since=<RFC 3339>&tail=<lines>      text, "<time> <line>\n"
//   GET  /v1/servers/{ns}/{name}/tools                              {"tools": […]}, every page
//   POST /v1/servers/{ns}/{name}/call  {"method", "params"}         the JSON-RPC result; header X-Timeout: 60s
//   GET  /v1/events[?server=ns/name][&watch=1]                      {"items": […]}; watch: new ones, a JSON line each
//   POST /v1/dashboard/login [{"who"}]    {"url", "page"}, where a browser signs in, once and soon; by TCP it needs the
//                                         store's operator token too, in Mcpfleet-Store-Token
//
// Errors are {"error":{"code":"NotFound","message":"…"}} with the HTTP status that fits.
//
// It listens on a unix socket (mode 0600: whoever may open it may all) and on loopback TCP, where everything but the
// health checks and metrics needs the bearer token, and Host and Origin must be loopback too: a web page in a
// browser on this machine must not reach it, under whatever name it resolved.
//
// TCP also has the dashboard, where there is one (edge-runtime/dashboard/dashboard.h): its page below /-/, its own
// routes for who comes with its cookie, and /{ns}/{name}/mcp, which goes to the gateway.
//
// A further address, for a Prometheus elsewhere, answers health checks and metrics to everybody and has nothing else.
//
// Requests that may wait for a server run on threads of their own, so that the health checks never queue behind them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "base/http/server.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "crd/server_status.h"
#include "store/trust/node_keys.h"

namespace mcpfleet {

namespace dashboard {
class Dashboard;
}

// One thing that must hold for /readyz.
struct ReadyCheck {
  std::string name;  // "store"
  bool ok = false;
  std::string message;  // why not
};

// What the admin API tells and does. Thread-safe. Calls without a deadline answer from memory.
class AdminBackend {
 public:
  virtual ~AdminBackend() = default;
  virtual std::vector<ReadyCheck> Ready() = 0;
  virtual NodeStatus GetStatus() = 0;
  virtual NodePublicKeys Keys() = 0;
  virtual std::string Metrics() = 0;
  // Oldest first, of one server or of all.
  virtual std::vector<Event> Events(const std::optional<ServerKey>& server) = 0;
  // `listener` must be called for each event from now on, on any thread; returns what ends that. The listener may run
  // once more after it was ended.
  virtual std::function<void()> WatchEvents(std::function<void(const Event&)> listener) = 0;
  // As ContainerRuntime::Logs of the server's instance. DeadlineExceeded ends a follow that goes on.
  virtual Status Logs(const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
                      Deadline deadline) = 0;
  // As Prober::Call of the server's main child.
  virtual StatusOr<nlohmann::json> Call(const ServerKey& server, const std::string& method,
                                        const nlohmann::json& params, Deadline deadline) = 0;
};

struct AdminOptions {
  std::string unix_path;                      // "": no unix socket
  std::string address = "127.0.0.1";          // loopback only; "": no TCP
  uint16_t port = 0;                          // 0: the system's choice
  std::string metrics_address;                // any; "": none
  uint16_t metrics_port = 0;                  // 0: the system's choice
  std::string token_file;                     // 0600; made with a random token when absent. Needed with TCP.
  dashboard::Dashboard* dashboard = nullptr;  // on TCP; outlives the server. Null: there is none
  std::string no_dashboard;                   // then: why, for people
};

class AdminServer {
 public:
  // Listening when it returns. `backend` and `clock` must outlive the server.
  static StatusOr<std::unique_ptr<AdminServer>> Create(const AdminOptions& options, AdminBackend& backend,
                                                       const Clock& clock);
  // Ends every stream and waits for the calls under way: make the backend fail them first (McpProber::Shutdown).
  ~AdminServer();

  uint16_t port() const;          // 0 without TCP
  uint16_t metrics_port() const;  // 0 without a metrics address
  std::string address() const;    // "127.0.0.1:8701", "" without TCP

 private:
  class Core;
  explicit AdminServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;  // shared with the handlers and threads under way
  std::unique_ptr<http::Server> unix_, tcp_, metrics_;
  std::string address_;
  dashboard::Dashboard* dashboard_ = nullptr;  // opened on tcp_
};

}  // namespace mcpfleet
