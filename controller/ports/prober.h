// Answers "does this server speak MCP now, and what does it offer?". Protocol rules: MCP specification (both eras);
// exactly one `initialize` per child, whoever asks and however often.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/secrets.h"
#include "controller/ports/session_host.h"
#include "crd/server_spec.h"
#include "crd/server_status.h"

namespace mcpfleet {

struct ProbeTarget {
  ServerKey server;
  std::string instance;  // "" for remote servers
  std::string revision;
  Transport transport = Transport::kStdio;
  std::shared_ptr<StdioChannel> stdio;          // transport stdio
  std::string url;                              // http transports: "http://127.0.0.1:8080/mcp"
  int network_pid = 0;                          // connect inside this process's network namespace; 0: ours
  std::vector<HeaderValue> headers;             // remote servers; values of secrets are opened by whoever sends them
  std::shared_ptr<const SecretSource> secrets;  // of `headers`
};

struct Verification {
  ServerInfo server_info;
  Catalog catalog;
  bool modern = false;  // protocol era
};

class Prober {
 public:
  virtual ~Prober() = default;
  // Handshake unless it was done on this child before, then every page of tools/list (and the counts of resources and
  // prompts where the server has them). Unavailable/DeadlineExceeded: no answer; FailedPrecondition: answered, but not
  // as MCP demands, with what was wrong.
  virtual StatusOr<Verification> Verify(const ProbeTarget& target, Deadline deadline) = 0;
  // Liveness: ping (legacy) or server/discover (modern); OK at once when bytes came within `quiet`.
  virtual Status Ping(const ProbeTarget& target, Duration quiet, Deadline deadline) = 0;
  // One request for a person (tools/list, tools/call …) over the same child. Returns `result`; a JSON-RPC error is
  // FailedPrecondition "<code>: <message>".
  virtual StatusOr<nlohmann::json> Call(const ProbeTarget& target, const std::string& method,
                                        const nlohmann::json& params, Deadline deadline) = 0;
  // Called when a server says that its lists changed: a reason to Verify before the period is over. Often repeated,
  // from any thread; must not block. nullptr ends it: no call is under way when this returns.
  virtual void SetCatalogListener(std::function<void(const ServerKey& server)> changed) = 0;
  // The child or server is gone: drop what is known of it.
  virtual void Forget(const std::string& instance) = 0;
};

}  // namespace mcpfleet
