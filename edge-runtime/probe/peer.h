// One MCP server as the prober talks to it, whatever the transport, and what is done over it: the catalogue, liveness.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "controller/ports/prober.h"
#include "edge-runtime/mcp/handshake.h"

namespace mcpfleet {

// Eras learned per revision, so that the next child of a legacy server is not asked to discover. Thread-safe, bounded.
class EraMemory {
 public:
  mcp::Era Get(const std::string& revision) const;
  void Set(const std::string& revision, mcp::Era era);

 private:
  mutable Mutex mu_;
  std::map<std::string, mcp::Era> eras_ GUARDED_BY(mu_);
};

// Thread-safe; calls block until their deadline. Errors as in controller/ports/prober.h.
class McpPeer {
 public:
  virtual ~McpPeer() = default;
  // Whether this peer still is the one that `target` means (same child, same URL and headers).
  virtual bool Serves(const ProbeTarget& target) const = 0;
  // The handshake, unless it was done.
  virtual StatusOr<mcp::PeerInfo> Ready(Deadline deadline) = 0;
  // One request and its answer, after Ready. An answered JSON-RPC error is a Message of kind kError, not a Status.
  virtual StatusOr<mcp::Message> Request(const std::string& method, const Json& params, Deadline deadline) = 0;
  // Time of the last byte from the server.
  virtual MonoTime LastActivity() const = 0;
  virtual bool CatalogDirty() const = 0;
  virtual void ClearCatalogDirty() = 0;
  // The tools as listed, for transports that need their schemas.
  virtual void NoteTool(const Json& tool) = 0;
  // Lets go of the server: no request after it. Waiting calls return Cancelled or Unavailable.
  virtual void Close() = 0;
};

// Every page of tools/list, and how many resources and prompts there are.
StatusOr<Catalog> ListCatalog(McpPeer& peer, const mcp::PeerInfo& info, Deadline deadline);

// FailedPrecondition "<method>: <code>: <message>" for an answered error.
Status ErrorOf(const std::string& method, const mcp::Message& answer);

}  // namespace mcpfleet
