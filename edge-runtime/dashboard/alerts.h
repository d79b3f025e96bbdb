// What is wrong with the nodes that use this store, now: the part of the Worker's alerts that a node can tell
// (cloud/worker/src/alerts/evaluate.ts), in the same words. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "crd/server_status.h"

namespace mcpfleet::dashboard {

inline constexpr int64_t kNotReadyMs = int64_t{5} * 60'000;  // so long a server may be not Ready: the Worker's default
inline constexpr size_t kAlertsOfNode = 50;

struct Alert {
  std::string key;  // kind and subject: at most one of each is raised
  std::string kind, subject, message;
  bool critical = false;
};

// A node as it was heard of last; not `here`: it gives no sign of life.
struct SeenNode {
  NodeStatus status;
  bool here = true;
};

// "server/<node>/<namespace>/<name>": of whom uptime is told. Alerts have it without the first part.
std::string ServerSubject(std::string_view node, const ServerKey& server);
// nullopt: it is meant to be down.
std::optional<bool> IsUp(const ServerStatus& server);

// `not_ready_since`: by ServerSubject, milliseconds. `raised`: keys of alerts that are; one of a server that is not
// Ready stays, however short mcplet has known it to be so.
std::vector<Alert> EvaluateAlerts(const std::vector<SeenNode>& nodes,
                                  const std::map<std::string, int64_t>& not_ready_since,
                                  const std::set<std::string>& raised, int64_t now_ms);

}  // namespace mcpfleet::dashboard
