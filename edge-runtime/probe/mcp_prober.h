// McpProber speaks MCP with the servers of this node: over the stdio channel of an instance's main child, or over
// Streamable HTTP. One peer per instance (or per remote server) lives from the first Verify to Forget and carries
// everybody's requests: probes and people share the one handshake that a child ever gets.
//
// Thread-safe; every call may block until its deadline, and calls for one instance run beside each other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "controller/ports/prober.h"

namespace mcpfleet {

class McpPeer;
class EraMemory;
class CatalogListener;

// Connects to host:port inside the network namespace of process `pid`.
using NamespaceConnect = std::function<StatusOr<UniqueFd>(int pid, const std::string& host, uint16_t port, Deadline)>;

struct McpProberOptions {
  std::string client_name = "mcpfleet";
  std::string client_version = "0";
  NamespaceConnect connect_in_namespace;  // without it, targets with a network_pid are Unimplemented
  // How long a server may stay silent on server/discover before it gets `initialize` (mcp-protocol §1.1).
  Duration discover_timeout = std::chrono::seconds(5);
};

class McpProber final : public Prober {
 public:
  McpProber(const Clock& clock, McpProberOptions options);
  ~McpProber() override;

  StatusOr<Verification> Verify(const ProbeTarget& target, Deadline deadline) override;
  Status Ping(const ProbeTarget& target, Duration quiet, Deadline deadline) override;
  StatusOr<nlohmann::json> Call(const ProbeTarget& target, const std::string& method, const nlohmann::json& params,
                                Deadline deadline) override;
  void SetCatalogListener(std::function<void(const ServerKey& server)> changed) override;
  void Forget(const std::string& instance) override;

  // Makes every waiting call return Cancelled, and every later one; children keep running, their lines are kept.
  void Shutdown();

  // Whether the server said, since the last Verify, that its lists changed; the catalog listener was told. For remote
  // servers the key is PeerKey of the target.
  bool CatalogDirty(const std::string& instance) const;
  // The name under which a target's peer is kept, and to Forget it by: the instance, or "remote:<namespace>/<name>".
  static std::string PeerKey(const ProbeTarget& target);

 private:
  StatusOr<std::shared_ptr<McpPeer>> PeerFor(const ProbeTarget& target);

  const Clock& clock_;
  const McpProberOptions options_;
  const std::shared_ptr<EraMemory> eras_;  // shared with the peers, which may outlive a Forget in another thread
  const std::shared_ptr<CatalogListener> listener_;  // shared with the peers
  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<McpPeer>> peers_ GUARDED_BY(mu_);
  bool shut_down_ GUARDED_BY(mu_) = false;
};

}  // namespace mcpfleet
