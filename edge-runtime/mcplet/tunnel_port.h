// The node's tunnel as the agent has it: from what servers ask for (spec.expose) to the names that the gateway takes,
// the ingress of cloudflared, and what conditions say.
//
// Thread-safe, but for Start, Stop and Drain.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/desired_state.h"
#include "controller/ports/exposure.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/tunnel_host.h"
#include "edge-runtime/tunnel/supervisor.h"

namespace mcpfleet {

struct TunnelDeps {
  std::function<uint16_t()> gateway_port;  // 0: the gateway is not open
  // What NamesOf or ExposureOf says of a server has changed. From several threads, without a lock; must not block.
  std::function<void(const ServerKey&)> server_changed;
  // state() or hostnames() has changed.
  std::function<void()> changed;
};

class TunnelPort {
 public:
  // The configuration outlives it.
  static StatusOr<std::unique_ptr<TunnelPort>> Create(const Config& config, const Clock& clock, TunnelDeps deps);

  void Start() {
    // Nothing to look at costs no thread.
    if (rules_.mode != tunnel::Mode::kOff || host_ != nullptr) supervisor_.Start();
  }
  // cloudflared goes on.
  void Stop() { supervisor_.Stop(); }
  // Ends cloudflared; instead of Start.
  Status Drain(Deadline deadline) { return supervisor_.EndAll(deadline); }

  void Update(const DesiredSnapshot& desired) LOCKS_EXCLUDED(mu_);
  std::vector<std::string> NamesOf(const ServerKey& server) const LOCKS_EXCLUDED(mu_);
  // nullopt: the server asks for no name.
  std::optional<Exposure> ExposureOf(const ServerKey& server) const LOCKS_EXCLUDED(mu_);

  // The node's condition TunnelReady; nullopt: it has no tunnel.
  std::optional<Condition> NodeCondition() const;
  bool up() const { return supervisor_.state().ready == ConditionStatus::kTrue && hostnames() > 0; }
  // That it is to serve, where mcplet can see whether it does.
  size_t hostnames() const LOCKS_EXCLUDED(mu_);
  int64_t restarts() const { return supervisor_.restarts(); }

 private:
  TunnelPort(const Config& config, const Clock& clock, TunnelDeps deps, std::unique_ptr<TunnelHost> host);
  void OnTunnel() LOCKS_EXCLUDED(mu_);

  const Config& config_;
  const TunnelDeps deps_;
  const tunnel::ExposeRules rules_;
  const std::unique_ptr<TunnelHost> host_;
  mutable Mutex mu_;
  std::map<ServerKey, tunnel::Door> doors_ GUARDED_BY(mu_);
  size_t hostname_count_ GUARDED_BY(mu_) = 0;
  tunnel::Supervisor supervisor_;  // its thread uses what stands above
};

}  // namespace mcpfleet
