#include "edge-runtime/mcplet/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <functional>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "crd/labels.h"
#include "crd/manifest.h"
#include "crd/node_name.h"
#include "crd/quantity.h"
#include "crd/schema.h"
#include "store/store_url.h"

namespace mcpfleet {

// cmake/embed.cmake: configuration.yaml.
extern const std::string_view kConfigurationSchema[1];
namespace {

constexpr char kKind[] = "MCPletConfiguration";

const Schema& ConfigSchema() {
  static const Schema& schema = *Schema::Parse({kConfigurationSchema[0]}).value().release();
  return schema;
}

// The name of the Node in Kubernetes, in a pod that was told (by the downward API): its host name is the pod's.
constexpr char kNodeNameVariable[] = "MCPFLEET_NODE_NAME";

// A machine that nobody named has its host's name, without the domain.
std::string HostName() {
  if (const std::string told = kube::ProcessEnvironment(kNodeNameVariable); !told.empty()) return NodeNameOf(told);
  char buffer[HOST_NAME_MAX + 1] = {};
  if (gethostname(buffer, sizeof buffer - 1) != 0) return "node";
  const std::string name = LabelFrom(Split(buffer, '.').front(), 63);
  return name.empty() ? "node" : name;
}

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

LogFormat FormatOf(const std::string& name) {
  if (name == "text") return LogFormat::kText;
  return name == "json" ? LogFormat::kJson : LogFormat::kAuto;
}

StoreConfig DecodeStore(const Json& store) {
  return {.embedded = GetString(store, "type") == "Embedded",
          .address = GetString(store, "address"),
          .port = static_cast<uint16_t>(GetInt(store, "port")),
          .url = GetString(store, "url"),
          .account = GetString(store, "account"),
          .config_namespace = GetString(store, "configNamespace"),
          .state_namespace = GetString(store, "stateNamespace"),
          .token_file = GetString(store, "tokenFile"),
          .ca_file = GetString(store, "caFile"),
          .proxy = GetString(store, "proxy"),
          .trust_root = GetString(store, "trustRoot"),
          .fleet = GetString(store, "fleet")};
}

GatewayConfig DecodeGateway(const Json& gateway) {
  return {.enabled = GetString(gateway, "enabled") != "Never",
          .address = GetString(gateway, "address"),
          .port = static_cast<uint16_t>(GetInt(gateway, "port")),
          .public_urls = StringsOf(GetMember(gateway, "publicUrls")),
          .allowed_hosts = StringsOf(GetMember(gateway, "allowedHosts")),
          .allowed_origins = StringsOf(GetMember(gateway, "allowedOrigins")),
          .cors_origins = StringsOf(GetMember(gateway, "corsOrigins")),
          .max_connections = static_cast<int>(GetInt(gateway, "maxConnections")),
          .max_sessions = static_cast<int>(GetInt(gateway, "maxSessions")),
          .access_log = GetString(gateway, "accessLog") == "On",
          .audit_log = GetString(gateway, "auditLog") == "On",
          .log_arguments = GetString(gateway, "logArguments") == "On",
          .tls_cert_file = GetString(GetMember(gateway, "tls"), "certFile"),
          .tls_key_file = GetString(GetMember(gateway, "tls"), "keyFile")};
}

using Wrong = std::function<void(const std::string& path, const std::string& problem, const std::string& allowed)>;

// The sizes and times of spec.gateway.limits; its numbers have their ranges in the schema.
void DecodeLimits(const Json& json, gateway::GatewayLimits* limits, const Wrong& wrong) {
  const std::string at = "spec.gateway.limits.";
  const auto size = [&](const char* field, size_t* into, const char* least, const char* most) {
    const StatusOr<int64_t> value = ParseBytes(GetString(json, field));
    if (value.ok() && *value >= *ParseBytes(least) && *value <= *ParseBytes(most)) {
      *into = static_cast<size_t>(*value);
    } else {
      wrong(at + field, "is not a size that can be", std::string("from ") + least + " to " + most);
    }
  };
  const auto time = [&](const char* field, Duration* into, const char* most) {
    const StatusOr<Duration> value = ParseDuration(GetString(json, field));
    if (value.ok() && *value >= std::chrono::seconds(1) && *value <= *ParseDuration(most)) {
      *into = *value;
    } else {
      wrong(at + field, "is not a duration that can be", std::string("from 1s to ") + most);
    }
  };
  const auto count = [&](const char* field, size_t* into) { *into = static_cast<size_t>(GetInt(json, field)); };
  size("headerBytes", &limits->header_bytes, "4Ki", "1Mi");
  time("headerTimeout", &limits->header_timeout, "10m");
  time("bodyTimeout", &limits->body_timeout, "1h");
  time("idleTimeout", &limits->idle_timeout, "24h");
  size("queuedBytes", &limits->queued_bytes, "1Mi", "1Gi");
  count("batchMessages", &limits->batch_messages);
  time("wakeTimeout", &limits->wake_timeout, "1h");
  count("callsPerSession", &limits->session.max_calls);
  count("streamsPerSession", &limits->session.max_streams);
  count("events", &limits->session.resume.events);
  size("eventBytes", &limits->session.resume.bytes, "1Ki", "1Gi");
  time("eventAge", &limits->session.resume.age, "24h");
  count("listensPerSubject", &limits->modern.max_listens);
  time("inputTimeout", &limits->modern.park_timeout, "24h");
  time("progressTimeout", &limits->session.call_timeout, "24h");
  time("callTimeout", &limits->session.call_limit, "168h");
  limits->modern.call_timeout = limits->session.call_timeout;
  limits->modern.call_limit = limits->session.call_limit;
  if (limits->session.call_limit < limits->session.call_timeout)
    wrong(at + "callTimeout", "is shorter than progressTimeout", "at least progressTimeout");
}

constexpr const char* kOnlyManaged[] = {"program", "credentialsFile", "isolation"};
constexpr const char* kOnlyExternal[] = {"metrics"};

// `tunnel` as written, before the defaults.
void CheckTunnel(const Json& tunnel, bool gateway, const Wrong& wrong) {
  const std::string mode = GetString(tunnel, "mode", "Off");
  const auto only = [&](const auto& fields, const char* with) {
    for (const char* field : fields) {
      if (tunnel.is_object() && tunnel.contains(field) && mode != with)
        wrong(std::string("spec.tunnel.") + field, "has no effect here", std::string("only with mode ") + with);
    }
  };
  only(kOnlyManaged, "Managed");
  only(kOnlyExternal, "External");
  if (mode == "Off" && tunnel.is_object() && tunnel.contains("hostname"))
    wrong("spec.tunnel.hostname", "has no effect here", "only with mode External or Managed");
  if (mode == "Managed" && GetString(tunnel, "credentialsFile").empty())
    wrong("spec.tunnel.credentialsFile", "is missing", "the file that `cloudflared tunnel create` writes");
  if (mode != "Off" && !gateway)
    wrong("spec.tunnel.mode", "leads to the gateway, which is off", "Off, or gateway Auto");
}

TunnelConfig DecodeTunnel(const Json& tunnel, const Wrong& wrong) {
  const std::string mode = GetString(tunnel, "mode");
  TunnelConfig out{.mode = mode == "Managed"    ? tunnel::Mode::kManaged
                           : mode == "External" ? tunnel::Mode::kExternal
                                                : tunnel::Mode::kOff,
                   .hostname = GetString(tunnel, "hostname"),
                   .program = GetString(tunnel, "program"),
                   .credentials_file = GetString(tunnel, "credentialsFile"),
                   .isolation_required = GetString(tunnel, "isolation") != "BestEffort",
                   .metrics_host = {}};
  const std::string metrics = GetString(tunnel, "metrics");
  if (metrics.empty()) return out;
  const size_t colon = metrics.rfind(':');
  const int port = atoi(metrics.substr(colon + 1).c_str());
  if (colon == std::string::npos || port < 1 || port > 65535) {
    wrong("spec.tunnel.metrics", "has no port from 1 to 65535", "for example 127.0.0.1:20241");
    return out;
  }
  out.metrics_port = static_cast<uint16_t>(port);
  out.metrics_host = metrics.starts_with("[::1]") ? "::1" : "127.0.0.1";
  return out;
}

// "10.0.0.7:8703", "[::]:8703"; the pattern has been seen to.
void DecodeMetricsAddress(const std::string& text, Config* config, const Wrong& wrong) {
  if (text.empty()) return;
  const size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  in6_addr address{};
  const bool is_address =
      inet_pton(host.find(':') == std::string::npos ? AF_INET : AF_INET6, host.c_str(), &address) == 1;
  const int port = colon == std::string::npos ? 0 : atoi(text.c_str() + colon + 1);
  if (!is_address || port < 1 || port > 65535) {
    wrong("spec.admin.metricsAddress", "is not an address with a port from 1 to 65535", "for example 0.0.0.0:8703");
    return;
  }
  config->metrics_address = host;
  config->metrics_port = static_cast<uint16_t>(port);
}

void DecodeLogs(const Json& json, LogsConfig* logs, const Wrong& wrong) {
  logs->ship = GetString(json, "shipping") != "Off";
  const StatusOr<int64_t> quota = ParseBytes(GetString(json, "spoolQuota"));
  if (quota.ok() && *quota >= *ParseBytes("4Mi") && *quota <= *ParseBytes("100Gi")) {
    logs->spool_quota_bytes = *quota;
  } else {
    wrong("spec.logs.spoolQuota", "is not a size that can be", "from 4Mi to 100Gi");
  }
  const StatusOr<Duration> interval = ParseDuration(GetString(json, "interval"));
  if (interval.ok() && *interval >= std::chrono::seconds(10) && *interval <= std::chrono::hours(1)) {
    logs->interval = *interval;
  } else {
    wrong("spec.logs.interval", "is not a duration that can be", "from 10s to 1h");
  }
}

// Fields of spec.store that mean nothing for a type: set there, they are a mistake about where the store is.
constexpr const char* kOnlyEmbedded[] = {"address", "port"};
constexpr const char* kOnlyRemote[] = {"url",    "account", "configNamespace", "stateNamespace", "tokenFile",
                                       "caFile", "proxy",   "fleet",           "minimumHead"};

// Cloudflare bills each write and lets a token make few of them; an mcplet's embedded store costs nothing, so news may
// be told at once.
constexpr Duration kLeastStatusInterval = std::chrono::seconds(5),
                   kLeastStatusIntervalOfCloudflare = std::chrono::seconds(60);
constexpr char kCloudflareApi[] = "api.cloudflare.com";

void DecodeSources(const Json& spec, Config* config) {
  const std::vector<std::string> sources = StringsOf(GetMember(spec, "sources"));
  const auto has = [&](const char* name) { return std::find(sources.begin(), sources.end(), name) != sources.end(); };
  config->use_kubernetes = has("Kubernetes");
  config->use_store = has("Store") || !config->use_kubernetes;
  const Json& kubernetes = GetMember(spec, "kubernetes");
  config->kubernetes = {.server = GetString(kubernetes, "server"),
                        .token_file = GetString(kubernetes, "tokenFile"),
                        .ca_file = GetString(kubernetes, "caFile"),
                        .namespace_ = GetString(kubernetes, "namespace")};
  config->core_node = GetString(kubernetes, "nodeName");
}

ContainerdConfig DecodeContainerd(const Json& containerd) {
  const Json& cni = GetMember(containerd, "cni");
  return {.enabled = GetString(containerd, "enabled") == "Auto",
          .socket = GetString(containerd, "socket"),
          .space = GetString(containerd, "namespace"),
          .snapshotter = GetString(containerd, "snapshotter"),
          .runtime = GetString(containerd, "runtime"),
          .hosts_directory = GetString(containerd, "hostsDirectory"),
          .cni_directories = StringsOf(GetMember(cni, "pluginDirectories")),
          .cni_subnet = GetString(cni, "subnet"),
          .cni_file = GetString(cni, "configurationFile")};
}

NodePolicy DecodePolicy(const Json& policy) {
  NodePolicy out{.allowed_host_paths = StringsOf(GetMember(policy, "allowedHostPaths")),
                 .allowed_capabilities = StringsOf(GetMember(policy, "allowedCapabilities")),
                 .allow_host_network = GetBool(policy, "allowHostNetwork"),
                 .image_prefixes = StringsOf(GetMember(policy, "imagePrefixes")),
                 .allow_remote = GetBool(policy, "allowRemote", true)};
  for (const std::string& name : StringsOf(GetMember(policy, "runtimes"))) {
    out.runtimes.push_back(name == "Docker"       ? RuntimeChoice::kDocker
                           : name == "Containerd" ? RuntimeChoice::kContainerd
                                                  : RuntimeChoice::kProcess);
  }
  return out;
}

}  // namespace

StatusOr<Config> ParseConfig(std::string_view yaml, const std::string& file_name, std::vector<Violation>* violations) {
  std::vector<Violation> own;
  if (violations == nullptr) violations = &own;
  std::map<std::string, int> lines;
  ASSIGN_OR_RETURN(Json json, ParseYaml(yaml, file_name, &lines, violations));
  if (!json.is_object()) return InvalidArgument(file_name + ": not a mapping");
  if (GetString(json, "kind") != kKind) {
    violations->push_back({file_name, 1, "kind", "is \"" + GetString(json, "kind") + "\"", kKind});
    return InvalidArgument(ToString(violations->back()));
  }
  // A node that nobody named has its host's name.
  if (!json.contains("metadata")) json["metadata"] = Json::object();
  if (json["metadata"].is_object() && !json["metadata"].contains("name")) json["metadata"]["name"] = HostName();
  LineOf line_of = LinesIn(lines);
  std::vector<Violation> found = ConfigSchema().Validate(kKind, json, line_of);
  const auto wrong = [&](const std::string& path, const std::string& problem, const std::string& allowed) {
    found.push_back({file_name, line_of(path), path, problem, allowed});
  };
  const auto misplaced = [&](const Json& store, const auto& fields, const std::string& type) {
    for (const char* field : fields) {
      if (store.is_object() && store.contains(field)) {
        wrong("spec.store." + std::string(field), "has no effect here", "only with type " + type);
      }
    }
  };
  // Before the defaults, which fill in both kinds.
  if (const Json& store = GetMember(GetMember(json, "spec"), "store"); GetString(store, "type") == "Remote") {
    misplaced(store, kOnlyEmbedded, "Embedded");
  } else {
    misplaced(store, kOnlyRemote, "Remote");
  }
  CheckTunnel(GetMember(GetMember(json, "spec"), "tunnel"),
              GetString(GetMember(GetMember(json, "spec"), "gateway"), "enabled") != "Never", wrong);
  ConfigSchema().ApplyDefaults(kKind, &json);
  const Json& spec = GetMember(json, "spec");

  Config config;
  DecodeSources(spec, &config);
  config.node = GetString(GetMember(json, "metadata"), "name");
  if (!GetMember(GetMember(json, "metadata"), "labels").empty()) {
    wrong("metadata.labels", "are not read from this file", "labels of a node, in its MCPNode object: mcpctl apply");
  }
  if (config.core_node.empty()) config.core_node = kube::ProcessEnvironment(kNodeNameVariable);
  if (config.core_node.empty()) config.core_node = config.node;
  config.state_directory = GetString(spec, "stateDirectory");
  config.run_directory = GetString(spec, "runDirectory");
  config.store = DecodeStore(GetMember(spec, "store"));
  if (auto d = ParseDuration(GetString(GetMember(spec, "store"), "pollInterval"));
      d.ok() && *d >= std::chrono::seconds(1)) {
    config.store.poll_interval = *d;
  } else {
    wrong("spec.store.pollInterval", "is not a duration of at least a second", "for example 60s");
  }
  if (const std::string minimum = GetString(GetMember(spec, "store"), "minimumHead"); !minimum.empty()) {
    if (StatusOr<HeadOrder> order = ParseHeadOrder(minimum); order.ok()) {
      config.store.minimum_head = *order;
    } else {
      wrong("spec.store.minimumHead", Message(order.status()), "for example 1.1.42");
    }
  }
  if (!config.store.embedded && config.store.url.empty()) {
    wrong("spec.store.url", "is missing", "type Remote needs a url");
  } else if (!config.store.embedded) {
    StatusOr<http::Endpoint> endpoint = ParseStoreUrl(config.store.url);
    if (!endpoint.ok() && config.store.url.rfind("http", 0) == 0)  // else the pattern has told it
      wrong("spec.store.url", Message(endpoint.status()), "for example https://store.example:8702");
    config.store.cloudflare = endpoint.ok() && EqualsIgnoreCase(endpoint->host, kCloudflareApi);
  }
  const bool cloudflare = config.store.cloudflare;
  const Duration least = cloudflare ? kLeastStatusIntervalOfCloudflare : kLeastStatusInterval;
  const std::string interval = GetString(GetMember(spec, "store"), "statusInterval");
  StatusOr<Duration> given = interval.empty() ? least : ParseDuration(interval);
  if (given.ok() && *given >= least) {
    config.store.status_interval = *given;
  } else {
    wrong("spec.store.statusInterval", std::string("is not a duration of at least ") + (cloudflare ? "60s" : "5s"),
          "for example 60s");
  }
  const Json& runtimes = GetMember(spec, "runtimes");
  config.use_docker = GetString(GetMember(runtimes, "docker"), "enabled") == "Auto";
  config.use_process = GetString(GetMember(runtimes, "process"), "enabled") == "Auto";
  config.docker_attach = GetString(GetMember(runtimes, "docker"), "stdio") == "Attach";
  config.docker_socket = GetString(GetMember(runtimes, "docker"), "socket");
  config.containerd = DecodeContainerd(GetMember(runtimes, "containerd"));
  if (config.containerd.space == "k8s.io")
    wrong("spec.runtimes.containerd.namespace", "is kubelet's, which removes what it did not make there",
          "a namespace of its own, as mcpfleet");
  config.admin_address = GetString(GetMember(spec, "admin"), "address");
  config.admin_port = static_cast<uint16_t>(GetInt(GetMember(spec, "admin"), "port"));
  DecodeMetricsAddress(GetString(GetMember(spec, "admin"), "metricsAddress"), &config, wrong);
  config.gateway = DecodeGateway(GetMember(spec, "gateway"));
  if (auto body = ParseBytes(GetString(GetMember(spec, "gateway"), "maxBody"));
      body.ok() && *body >= 4096 && *body <= static_cast<int64_t>(limits::kChildLineBytes)) {
    config.gateway.max_body = *body;
  } else {
    wrong("spec.gateway.maxBody", "is not a size that can be",
          "from 4Ki to " + std::to_string(limits::kChildLineBytes >> 20) + "Mi, the longest line of a stdio server");
  }
  DecodeLimits(GetMember(GetMember(spec, "gateway"), "limits"), &config.gateway.limits, wrong);
  config.tunnel = DecodeTunnel(GetMember(spec, "tunnel"), wrong);
  DecodeLogs(GetMember(spec, "logs"), &config.logs, wrong);
  config.policy = DecodePolicy(GetMember(spec, "policy"));
  if (!config.use_docker && config.containerd.enabled) config.policy.image_runtime = RuntimeChoice::kContainerd;
  if (auto quota = ParseBytes(GetString(spec, "cacheQuota")); quota.ok()) {
    config.cache_quota_bytes = *quota;
  } else {
    wrong("spec.cacheQuota", Message(quota.status()), "a quantity, for example 5Gi");
  }
  config.log_level = LevelOf(GetString(GetMember(spec, "log"), "level"));
  config.log_format = FormatOf(GetString(GetMember(spec, "log"), "format"));

  for (Violation& violation : found) {
    violation.file = file_name;
    violations->push_back(std::move(violation));
  }
  if (!violations->empty()) return InvalidArgument(ToString(violations->front()));
  return config;
}

StatusOr<Config> LoadConfig(const std::string& path, std::vector<Violation>* violations) {
  ASSIGN_OR_RETURN(std::string yaml, ReadFile(path, limits::kManifestBytes));
  return ParseConfig(yaml, path, violations);
}

Status SetSources(const std::string& text, Config* config) {
  bool store = false, kubernetes = false;
  for (const std::string& name : Split(text, ',')) {
    if (name == "store") {
      store = true;
    } else if (name == "kubernetes") {
      kubernetes = true;
    } else {
      return InvalidArgument("--source: \"" + Printable(name, 40) +
                             "\" is none; allowed: store, kubernetes, or both with a comma");
    }
  }
  config->use_store = store;
  config->use_kubernetes = kubernetes;
  return OkStatus();
}

Config DefaultConfig() {
  std::string yaml = "apiVersion: " + std::string(kApiVersion) + "\nkind: " + kKind + "\nmetadata: {name: \"" +
                     HostName() + "\"}\nspec: {}\n";
  return ParseConfig(yaml, "defaults", nullptr).value();
}

}  // namespace mcpfleet
