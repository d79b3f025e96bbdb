#include "edge-runtime/mcplet/gateway_port.h"

#include <utility>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet {

std::shared_ptr<gateway::Gateway> GatewayPort::Current() const {
  MutexLock lock(&mu_);
  return gateway_;
}

Status GatewayPort::Open(const gateway::GatewayDeps& deps, const Controller& controller) {
  if (!wanted() || Current() != nullptr) return OkStatus();
  const GatewayConfig& g = config_.gateway;
  const std::string directory = config_.GatewayDirectory();
  Status made = MakeDirectories(directory, 0700);
  const std::string tunnel = config_.TunnelSocket();
  if (made.ok() && !tunnel.empty()) {
    made = MakeDirectories(config_.TunnelDirectory(), 0700);
    // Only seen through the directory above by others, but by cloudflared's own user where it is mounted.
    if (made.ok()) made = MakeDirectories(tunnel.substr(0, tunnel.rfind('/')), 0711);
  }
  StatusOr<std::unique_ptr<gateway::Gateway>> opened =
      made.ok() ? gateway::Gateway::Create({.address = g.address,
                                            .port = g.port,
                                            .public_urls = g.public_urls,
                                            .allowed_hosts = g.allowed_hosts,
                                            .allowed_origins = g.allowed_origins,
                                            .cors_origins = g.cors_origins,
                                            .max_body = static_cast<size_t>(g.max_body),
                                            .max_connections = static_cast<size_t>(g.max_connections),
                                            .max_sessions = static_cast<size_t>(g.max_sessions),
                                            .access_log = g.access_log ? directory + "/access.log" : "",
                                            .audit_log = g.audit_log ? directory + "/audit.log" : "",
                                            .log_arguments = g.log_arguments,
                                            .keys_directory = directory + "/keys",
                                            .sessions_directory = directory + "/sessions",
                                            .limits = g.limits,
                                            .tls = {g.tls_cert_file, g.tls_key_file, "spec.gateway.tls."},
                                            .tunnel_socket = tunnel},
                                           deps)
                : made;
  std::shared_ptr<gateway::Gateway> open;
  {
    MutexLock lock(&mu_);
    problem_ = opened.ok() ? "" : Message(opened.status());
    if (!opened.ok()) return opened.status();
    open = gateway_ = std::shared_ptr<gateway::Gateway>(*std::move(opened));
    open->SetListener(listener_);
  }
  LOG_INFO("the gateway is open", {{"address", address()}});
  for (const ServerStatus& status : controller.Statuses()) open->ServerChanged(status.key);
  return OkStatus();
}

void GatewayPort::Close() {
  std::shared_ptr<gateway::Gateway> closing;
  {
    MutexLock lock(&mu_);
    closing = std::exchange(gateway_, nullptr);
    problem_ = "closed";
  }
  if (closing != nullptr) closing->Stop();
}

std::string GatewayPort::problem() const {
  MutexLock lock(&mu_);
  return problem_;
}

std::string GatewayPort::certificate_problem() const {
  const auto open = Current();
  return open == nullptr ? "" : open->certificate_problem();
}

std::string GatewayPort::address() const {
  const auto open = Current();
  return open == nullptr ? "" : config_.gateway.address + ":" + std::to_string(open->port());
}

uint16_t GatewayPort::port() const {
  const auto open = Current();
  return open == nullptr ? 0 : open->port();
}

std::optional<http::Endpoint> GatewayPort::PlainEndpoint() const {
  const uint16_t open = port();
  if (open == 0 || !config_.gateway.tls_cert_file.empty()) return std::nullopt;
  const std::string& address = config_.gateway.address;
  return http::TcpEndpoint(address == "0.0.0.0" ? "127.0.0.1" : address == "::" ? "::1" : address, open);
}

std::string GatewayPort::EndpointOf(const ServerKey& server) const {
  const auto open = Current();
  return open == nullptr ? "" : open->EndpointOf(server);
}

void GatewayPort::ServerChanged(const ServerKey& key) {
  if (const auto open = Current(); open != nullptr) open->ServerChanged(key);
}

int GatewayPort::Conversations(const std::string& instance) const {
  const auto open = Current();
  return open == nullptr ? 0 : open->Conversations(instance);
}

std::optional<MonoTime> GatewayPort::LastUsed(const ServerKey& server) const {
  const auto open = Current();
  return open == nullptr ? std::nullopt : open->LastUsed(server);
}

void GatewayPort::SetListener(std::function<void(const ServerKey& server)> changed) {
  std::shared_ptr<gateway::Gateway> open;
  {
    MutexLock lock(&mu_);
    listener_ = changed;
    open = gateway_;
  }
  if (open != nullptr) open->SetListener(std::move(changed));
}

}  // namespace mcpfleet
