#include "edge-runtime/tunnel/health.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::tunnel {
namespace {

constexpr size_t kNames = 10'000;

}  // namespace

void ReadReady(int status, const std::string& body, Health* health) {
  health->answers = true;
  const StatusOr<Json> json = ParseJson(body, {.bytes = 64 << 10, .depth = 8});
  const int64_t told = json.ok() && json->is_object() ? GetInt(*json, "readyConnections") : 0;
  health->connections = status == 200 ? static_cast<int>(std::clamp<int64_t>(told, 1, 1000)) : 0;
  if (status != 200) health->problem = "cloudflared has no connection to Cloudflare";
}

void ReadConfig(int status, const std::string& body, const std::string& service, Health* health) {
  if (status != 200) return;
  const StatusOr<Json> json = ParseJson(body, {.bytes = size_t{4} << 20, .depth = 32});
  if (!json.ok() || !json->is_object() || !json->contains("config")) return;
  const Json& ingress = GetMember(GetMember(*json, "config"), "ingress");
  if (!ingress.is_array()) return;
  health->told = true;
  health->remote = GetInt(*json, "version", -1) >= 0;
  for (const Json& rule : ingress) {
    if (!rule.is_object() || health->hostnames.size() >= kNames) continue;
    const std::string hostname = GetString(rule, "hostname");
    if (!hostname.empty() && GetString(rule, "service") == service) health->hostnames.insert(hostname);
  }
}

Health LookAt(http::Client& metrics, const std::string& service, Deadline deadline) {
  Health health;
  const StatusOr<http::Response> ready = metrics.Do({.method = "GET", .target = "/ready"}, deadline);
  if (!ready.ok()) {
    health.problem = "cloudflared does not answer on its metrics port: " + Message(ready.status());
    return health;
  }
  ReadReady(ready->status, ready->body, &health);
  if (!health.ready()) return health;
  const StatusOr<http::Response> config = metrics.Do({.method = "GET", .target = "/config"}, deadline);
  if (config.ok()) ReadConfig(config->status, config->body, service, &health);
  return health;
}

}  // namespace mcpfleet::tunnel
