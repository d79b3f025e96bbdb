#include "edge-runtime/tunnel/exposure.h"

#include <algorithm>

namespace mcpfleet::tunnel {
namespace {

bool MintedByCloudflare(AuthType auth) { return auth == AuthType::kNone || auth == AuthType::kCloudflareAccess; }

}  // namespace

std::map<ServerKey, Door> OpenDoors(const std::vector<ExposeRequest>& requests, const ExposeRules& rules) {
  std::map<ServerKey, Door> doors;
  if (rules.mode == Mode::kOff) {
    for (const ExposeRequest& request : requests) {
      Door& door = doors[request.server];
      if (!request.hostname.empty()) {
        door.reason = "NotConfigured";
        door.message = "this node has no tunnel: set spec.tunnel in its mcplet.yaml";
      }
    }
    return doors;
  }
  std::map<ServerKey, const ExposeRequest*> in_order;
  for (const ExposeRequest& request : requests) in_order[request.server] = &request;
  std::map<std::string, ServerKey> taken;
  for (const auto& [server, request] : in_order) {
    Door& door = doors[server];
    const bool trusted = !rules.signed_fleet || !MintedByCloudflare(request->auth);
    door.by_node_name = trusted && !rules.node_hostname.empty();
    if (request->hostname.empty()) continue;
    if (!trusted) {
      door.reason = "CloudflareTrusted";
      door.message =
          "the fleet is signed, and with this auth whoever has the Cloudflare account could use the server: set "
          "spec.auth.type to Bearer or JWT";
      continue;
    }
    const auto [first, mine] = taken.emplace(request->hostname, server);
    if (request->hostname == rules.node_hostname) {
      door.reason = "HostnameConflict";
      door.message = request->hostname + " is the node's own name (spec.tunnel.hostname in mcplet.yaml)";
    } else if (!mine) {
      door.reason = "HostnameConflict";
      door.message = ToString(first->second) + " has " + request->hostname + " on this node";
    } else {
      door.hostname = request->hostname;
    }
  }
  return doors;
}

std::vector<std::string> HostnamesOf(const std::map<ServerKey, Door>& doors, const ExposeRules& rules) {
  std::vector<std::string> names;
  if (rules.mode == Mode::kOff) return names;
  if (!rules.node_hostname.empty()) names.push_back(rules.node_hostname);
  for (const auto& [server, door] : doors) {
    if (!door.hostname.empty()) names.push_back(door.hostname);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> NamesOf(const Door& door, const ExposeRules& rules) {
  std::vector<std::string> names;
  if (!door.hostname.empty()) names.push_back(door.hostname);
  if (door.by_node_name) names.push_back(rules.node_hostname);
  return names;
}

Exposure ExposureOf(const ServerKey& server, const Door& door, const TunnelState& state) {
  if (!door.reason.empty()) return {ConditionStatus::kFalse, door.reason, door.message, ""};
  if (state.served.contains(door.hostname)) {
    return {ConditionStatus::kTrue, "Exposed", "",
            "https://" + door.hostname + "/" + server.namespace_ + "/" + server.name + "/mcp"};
  }
  // Of a cloudflared that nobody lets us look at nothing is known.
  if (state.ready == ConditionStatus::kUnknown) return {ConditionStatus::kUnknown, state.reason, state.message, ""};
  const bool connected = state.ready == ConditionStatus::kTrue;
  return {ConditionStatus::kFalse, "TunnelNotReady",
          connected ? "cloudflared does not run with " + door.hostname + " yet" : state.message, ""};
}

}  // namespace mcpfleet::tunnel
