#include "edge-runtime/mcplet/tunnel_port.h"

#include <unistd.h>

#include <utility>

#include "base/fd.h"
#include "base/libexec.h"

namespace mcpfleet {

StatusOr<std::unique_ptr<TunnelPort>> TunnelPort::Create(const Config& config, const Clock& clock, TunnelDeps deps) {
  std::unique_ptr<TunnelHost> host;
  // Also with another mode: what an earlier configuration left running is ended.
  if (config.tunnel.mode == tunnel::Mode::kManaged ||
      access((config.TunnelDirectory() + "/connectors").c_str(), F_OK) == 0) {
    ASSIGN_OR_RETURN(std::string sandbox, FindOwnProgram("mcp-sandbox"));
    host = std::make_unique<TunnelHost>(config, std::move(sandbox));
  }
  return std::unique_ptr<TunnelPort>(new TunnelPort(config, clock, std::move(deps), std::move(host)));
}

TunnelPort::TunnelPort(const Config& config, const Clock& clock, TunnelDeps deps, std::unique_ptr<TunnelHost> host)
    : config_(config),
      deps_(std::move(deps)),
      rules_({.mode = config.tunnel.mode,
              .node_hostname = config.tunnel.hostname,
              .signed_fleet = !config.store.trust_root.empty()}),
      host_(std::move(host)),
      supervisor_({.mode = config.tunnel.mode,
                   .credentials_file = config.tunnel.credentials_file,
                   .ingress_file = config.TunnelIngressFile(),
                   .metrics_host = config.tunnel.metrics_host,
                   .metrics_port = config.tunnel.metrics_port},
                  {.host = host_.get(),
                   .clock = clock,
                   .gateway =
                       [this] {
                         return tunnel::GatewayOrigin{.unix_path = {},
                                                      .address = config_.gateway.address,
                                                      .port = deps_.gateway_port(),
                                                      .tls = !config_.gateway.tls_cert_file.empty()};
                       },
                   .changed = [this] { OnTunnel(); }}) {}

void TunnelPort::Update(const DesiredSnapshot& desired) {
  std::vector<tunnel::ExposeRequest> requests;
  for (const auto& [key, server] : desired.servers) {
    // Of a spec that was refused nothing is let in.
    if (server->rejected_reason.empty())
      requests.push_back({key, server->spec.expose.hostname, server->spec.auth.type});
  }
  std::map<ServerKey, tunnel::Door> doors = tunnel::OpenDoors(requests, rules_);
  std::vector<std::string> hostnames = tunnel::HostnamesOf(doors, rules_);
  std::vector<ServerKey> changed;
  {
    MutexLock lock(&mu_);
    for (const auto& [key, door] : doors) {
      const auto before = doors_.find(key);
      if (before == doors_.end() ? door != tunnel::Door{} : before->second != door) changed.push_back(key);
    }
    for (const auto& [key, door] : doors_) {
      if (!doors.contains(key) && door != tunnel::Door{}) changed.push_back(key);
    }
    doors_ = std::move(doors);
    hostname_count_ = hostnames.size();
  }
  supervisor_.SetHostnames(std::move(hostnames));
  for (const ServerKey& key : changed) deps_.server_changed(key);
}

std::vector<std::string> TunnelPort::NamesOf(const ServerKey& server) const {
  MutexLock lock(&mu_);
  const auto it = doors_.find(server);
  return it == doors_.end() ? std::vector<std::string>() : tunnel::NamesOf(it->second, rules_);
}

std::optional<Exposure> TunnelPort::ExposureOf(const ServerKey& server) const {
  const tunnel::TunnelState state = supervisor_.state();
  MutexLock lock(&mu_);
  const auto it = doors_.find(server);
  if (it == doors_.end() || (it->second.hostname.empty() && it->second.reason.empty())) return std::nullopt;
  return tunnel::ExposureOf(server, it->second, state);
}

std::optional<Condition> TunnelPort::NodeCondition() const {
  if (rules_.mode == tunnel::Mode::kOff) return std::nullopt;
  const tunnel::TunnelState state = supervisor_.state();
  return Condition{.type = "TunnelReady", .status = state.ready, .reason = state.reason, .message = state.message};
}

size_t TunnelPort::hostnames() const {
  const bool seen = rules_.mode == tunnel::Mode::kManaged || config_.tunnel.metrics_port != 0;
  MutexLock lock(&mu_);
  return seen ? hostname_count_ : 0;
}

void TunnelPort::OnTunnel() {
  std::vector<ServerKey> exposed;
  {
    MutexLock lock(&mu_);
    for (const auto& [key, door] : doors_) {
      if (!door.hostname.empty()) exposed.push_back(key);
    }
  }
  for (const ServerKey& key : exposed) deps_.server_changed(key);
  deps_.changed();
}

}  // namespace mcpfleet
