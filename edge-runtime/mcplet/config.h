// mcplet.yaml: kind MCPletConfiguration, validated by its schema (configuration.yaml beside this file) like any object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "crd/object.h"
#include "crd/violation.h"
#include "edge-runtime/gateway/settings.h"
#include "edge-runtime/mcplet/policy.h"
#include "edge-runtime/tunnel/exposure.h"
#include "store/kubernetes/cluster.h"
#include "store/snapshot.h"

namespace mcpfleet {

struct StoreConfig {
  bool embedded = true;
  std::string address;      // embedded
  uint16_t port = 0;        // embedded
  std::string url;          // remote
  bool cloudflare = false;  // remote: Cloudflare's own API, with nothing of ours behind it
  std::string account, config_namespace, state_namespace;
  std::string token_file, ca_file, proxy;
  std::string trust_root;  // "": the fleet is not signed
  std::string fleet;       // remote; "": that of the first head
  HeadOrder minimum_head;  // remote
  Duration poll_interval{};
  Duration status_interval{};  // the least between two writes of the status
};

struct GatewayConfig {
  bool enabled = true;
  std::string address;
  uint16_t port = 0;
  std::vector<std::string> public_urls, allowed_hosts, allowed_origins, cors_origins;
  int64_t max_body = 0;
  int max_connections = 0, max_sessions = 0;
  bool access_log = false, audit_log = false, log_arguments = false;
  std::string tls_cert_file, tls_key_file;  // both, or neither
  gateway::GatewayLimits limits;
};

struct TunnelConfig {
  tunnel::Mode mode = tunnel::Mode::kOff;
  std::string hostname;                   // of the node itself; "": none
  std::string program, credentials_file;  // Managed
  bool isolation_required = true;         // Managed
  std::string metrics_host;               // External: of the other cloudflared, "": not known
  uint16_t metrics_port = 0;
};

struct LogsConfig {
  bool ship = true;  // where the store takes logs
  int64_t spool_quota_bytes = int64_t{64} << 20;
  Duration interval = std::chrono::minutes(10);
};

struct ContainerdConfig {
  bool enabled = false;
  std::string socket, space, snapshotter, runtime, hosts_directory;
  std::vector<std::string> cni_directories;
  std::string cni_subnet, cni_file;
};

struct Config {
  std::string node;
  // Where the desired state comes from: one of them, or both.
  bool use_store = true, use_kubernetes = false;
  kube::ClusterSettings kubernetes;
  std::string core_node;  // name of this machine's Node in Kubernetes
  std::string state_directory, run_directory;
  StoreConfig store;
  bool use_docker = true, use_process = true;
  std::string docker_socket;
  bool docker_attach = false;  // never the shim in Docker
  ContainerdConfig containerd;
  std::string admin_address;
  uint16_t admin_port = 0;
  std::string metrics_address;  // of its own, "": none
  uint16_t metrics_port = 0;
  GatewayConfig gateway;
  TunnelConfig tunnel;
  NodePolicy policy;
  LogsConfig logs;
  int64_t cache_quota_bytes = 0;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;

  std::string AdminSocket() const { return run_directory + "/mcplet.sock"; }
  std::string GatewayDirectory() const { return state_directory + "/gateway"; }
  // Not in the run directory, which may go with mcplet: a cloudflared that outlives it keeps the socket's directory.
  std::string TunnelDirectory() const { return state_directory + "/tunnel"; }
  std::string TunnelSocket() const {
    return tunnel.mode == tunnel::Mode::kManaged ? TunnelDirectory() + "/gateway/gateway.sock" : "";
  }
  std::string TunnelIngressFile() const { return state_directory + "/cloudflared.yml"; }
  std::string LogShipDirectory() const { return state_directory + "/logship"; }
  std::string KubernetesDirectory() const { return state_directory + "/kubernetes"; }
  std::string StoreDirectory() const { return state_directory + "/store"; }
};

// InvalidArgument with the first violation; all of them in `violations` (may be null).
StatusOr<Config> ParseConfig(std::string_view yaml, const std::string& file_name, std::vector<Violation>* violations);
StatusOr<Config> LoadConfig(const std::string& path, std::vector<Violation>* violations);
// Every default, on a node named after the host.
Config DefaultConfig();
// What --source says over spec.sources: "store", "kubernetes", or both with a comma. InvalidArgument for anything else.
Status SetSources(const std::string& text, Config* config);

}  // namespace mcpfleet
