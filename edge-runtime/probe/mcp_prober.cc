#include "edge-runtime/probe/mcp_prober.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "edge-runtime/probe/http_peer.h"
#include "edge-runtime/probe/peer.h"
#include "edge-runtime/probe/stdio_peer.h"

namespace mcpfleet {

// Whoever listens now; peers may speak after the prober let go of them.
class CatalogListener {
 public:
  void Set(std::function<void(const ServerKey&)> changed) {
    MutexLock lock(&mu_);
    changed_ = std::move(changed);
    while (calls_ > 0) quiet_.Wait(&mu_);  // whom the old one calls may be about to go; it must not block
  }
  void Tell(const ServerKey& server) {
    std::function<void(const ServerKey&)> changed;
    {
      MutexLock lock(&mu_);
      if (!changed_) return;
      changed = changed_;
      ++calls_;
    }
    changed(server);
    MutexLock lock(&mu_);
    if (--calls_ == 0) quiet_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar quiet_;
  int calls_ GUARDED_BY(mu_) = 0;
  std::function<void(const ServerKey&)> changed_ GUARDED_BY(mu_);
};

McpProber::McpProber(const Clock& clock, McpProberOptions options)
    : clock_(clock),
      options_(std::move(options)),
      eras_(std::make_shared<EraMemory>()),
      listener_(std::make_shared<CatalogListener>()) {}

McpProber::~McpProber() { Shutdown(); }

void McpProber::Shutdown() {
  std::map<std::string, std::shared_ptr<McpPeer>> peers;
  {
    MutexLock lock(&mu_);
    shut_down_ = true;
    peers.swap(peers_);
  }
  for (auto& [key, peer] : peers) peer->Close();
}

std::string McpProber::PeerKey(const ProbeTarget& target) {
  return target.instance.empty() ? "remote:" + ToString(target.server) : target.instance;
}

StatusOr<std::shared_ptr<McpPeer>> McpProber::PeerFor(const ProbeTarget& target) {
  const std::string key = PeerKey(target);
  std::shared_ptr<McpPeer> old;
  {
    MutexLock lock(&mu_);
    if (shut_down_) return Cancelled("mcplet is stopping");
    auto it = peers_.find(key);
    if (it != peers_.end() && it->second->Serves(target)) return it->second;
    if (it != peers_.end()) {
      old = std::move(it->second);
      peers_.erase(it);
    }
  }
  if (old) old->Close();  // another child, or another URL
  const mcp::ClientIdentity identity{options_.client_name, options_.client_version};
  const auto dirty = [listener = listener_, server = target.server] { listener->Tell(server); };
  std::shared_ptr<McpPeer> made;
  switch (target.transport) {
    case Transport::kStdio: {
      if (!target.stdio) return Unavailable("the server process does not run");
      // Under the lock: a channel has one receiver, so two threads must not make two peers of it. Create calls the
      // channel, which calls back only into the peer, never into the prober.
      MutexLock lock(&mu_);
      if (shut_down_) return Cancelled("mcplet is stopping");
      std::shared_ptr<McpPeer>& slot = peers_[key];
      if (slot && slot->Serves(target)) return slot;
      slot = StdioPeer::Create(target.stdio, eras_, {identity, options_.discover_timeout, target.revision, dirty});
      return slot;
    }
    case Transport::kStreamableHttp: {
      HttpPeerOptions http{identity, options_.connect_in_namespace, options_.discover_timeout, dirty};
      StatusOr<std::shared_ptr<HttpPeer>> peer = HttpPeer::Create(target, clock_, eras_, std::move(http));
      if (!peer.ok()) return peer.status();
      made = *std::move(peer);
      break;
    }
  }
  MutexLock lock(&mu_);
  if (shut_down_) return Cancelled("mcplet is stopping");
  std::shared_ptr<McpPeer>& slot = peers_[key];
  if (!slot || !slot->Serves(target)) slot = std::move(made);  // an unused HTTP peer just goes
  return slot;
}

StatusOr<Verification> McpProber::Verify(const ProbeTarget& target, Deadline deadline) {
  ASSIGN_OR_RETURN(std::shared_ptr<McpPeer> peer, PeerFor(target));
  ASSIGN_OR_RETURN(mcp::PeerInfo info, peer->Ready(deadline));
  Verification verification;
  // Once more when the server changed its lists while it was asked: many do right after the handshake.
  for (int attempt = 0; attempt < 2; ++attempt) {
    peer->ClearCatalogDirty();
    ASSIGN_OR_RETURN(verification.catalog, ListCatalog(*peer, info, deadline));
    if (!peer->CatalogDirty()) break;
  }
  verification.modern = info.era == mcp::Era::kModern;
  verification.server_info = {info.name, info.version, info.protocol_version, info.capabilities};
  return verification;
}

Status McpProber::Ping(const ProbeTarget& target, Duration quiet, Deadline deadline) {
  StatusOr<std::shared_ptr<McpPeer>> peer = PeerFor(target);
  if (!peer.ok()) return peer.status();
  if (target.stdio && target.stdio->closed()) return Unavailable("the server process is gone");
  const MonoTime begun = clock_.Now();
  if ((*peer)->LastActivity() + quiet > begun) return OkStatus();
  StatusOr<mcp::PeerInfo> info = (*peer)->Ready(deadline);
  if (!info.ok()) return info.status();
  // Modern servers have no ping; server/discover is what each of them must answer.
  const std::string method = info->era == mcp::Era::kModern ? "server/discover" : "ping";
  // Any answer will do, also "method not found": it lives.
  Status status = (*peer)->Request(method, Json(), deadline).status();
  // A single-threaded server in the middle of a long call cannot answer, but it speaks.
  if (status.code() == StatusCode::kDeadlineExceeded && (*peer)->LastActivity() > begun) return OkStatus();
  return status;
}

StatusOr<nlohmann::json> McpProber::Call(const ProbeTarget& target, const std::string& method,
                                         const nlohmann::json& params, Deadline deadline) {
  if (method == "initialize" || method.starts_with("notifications/")) {
    return InvalidArgument("method: " + Printable(method, 60) + " belongs to the session and can't be called");
  }
  ASSIGN_OR_RETURN(std::shared_ptr<McpPeer> peer, PeerFor(target));
  RETURN_IF_ERROR(peer->Ready(deadline).status());
  ASSIGN_OR_RETURN(mcp::Message answer, peer->Request(method, params, deadline));
  if (answer.kind == mcp::MessageKind::kError) return FailedPrecondition(mcp::DescribeError(answer));
  if (GetString(answer.result, "resultType") == "input_required") {
    return FailedPrecondition("the server asks its client for input, which mcpfleet does not offer here");
  }
  return std::move(answer.result);
}

void McpProber::SetCatalogListener(std::function<void(const ServerKey&)> changed) {
  listener_->Set(std::move(changed));
}

void McpProber::Forget(const std::string& instance) {
  std::shared_ptr<McpPeer> peer;
  {
    MutexLock lock(&mu_);
    auto it = peers_.find(instance);
    if (it == peers_.end()) return;
    peer = std::move(it->second);
    peers_.erase(it);
  }
  peer->Close();
}

bool McpProber::CatalogDirty(const std::string& instance) const {
  std::shared_ptr<McpPeer> peer;
  {
    MutexLock lock(&mu_);
    auto it = peers_.find(instance);
    if (it == peers_.end()) return false;
    peer = it->second;
  }
  return peer->CatalogDirty();
}

}  // namespace mcpfleet
