// What the gateway may know of the servers of this node: where a client's requests for one go now.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/desired_state.h"

namespace mcpfleet {

// Where the conversations of clients with one server go. New ones go to `instance`; those that are under way with
// another instance stay there until it is gone or drained.
struct ClientTarget {
  std::shared_ptr<const DesiredServer> server;  // key, revision and spec that `instance` runs; never null
  bool ready = false;                           // it answers MCP now
  // Also what its tools are pinned to holds, where that is asked for: what /healthz tells. A server that sleeps is.
  bool healthy = false;
  std::string reason, message;  // of the condition Ready; why not ready
  bool modern = false;          // protocol era, once verified
  std::string instance;         // "" for remote servers, and while nothing runs
  std::string url;              // http transports and remote servers
  int network_pid = 0;          // connect inside this process's network namespace; 0: ours
  // Of a stdio child. Empty: not known yet; what was adopted runs before its artifact was looked at again.
  std::vector<std::string> argv;
  // What its tools were when it was last verified: name and hash (mcp::ToolHash), sorted.
  std::vector<std::pair<std::string, std::string>> tool_hashes;
  bool attached = false;  // stdio without a shim: there is only the main child
  // activation OnDemand: it answered before and was stopped because nobody used it, or is being started again because
  // somebody does. Not ready, but a request is worth waiting with: Traffic wakes it, and then this target changes.
  // `modern` holds. What the gateway started in the instance without being asked (warm spares) it ends.
  bool sleeping = false;
};

class GatewayServers {
 public:
  virtual ~GatewayServers() = default;
  // NotFound: no such server on this node. One that is suspended, rejected, pending or starting is found, but not
  // ready. While an old revision or a version before a rejected one still answers it is ready, whatever the condition
  // Ready says. Cheap; thread-safe.
  virtual StatusOr<ClientTarget> ClientTargetOf(const ServerKey& key) const = 0;
  // Whether every server that is desired here is known; until then a server that is not may yet come.
  virtual bool Synced() const { return true; }
};

// Who wants to know when that changes.
class GatewayNews {
 public:
  virtual ~GatewayNews() = default;
  // ClientTargetOf would say something else now (another instance, era, spec or readiness; not: another message), or
  // NotFound. From the controller's threads, several servers at once; must not block.
  virtual void ServerChanged(const ServerKey& key) = 0;
};

}  // namespace mcpfleet
