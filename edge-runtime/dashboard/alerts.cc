#include "edge-runtime/dashboard/alerts.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "edge-runtime/dashboard/rows.h"

namespace mcpfleet::dashboard {
namespace {

constexpr std::string_view kServerPrefix = "server/";

Alert Make(const std::string& kind, const std::string& subject, std::string message, bool critical) {
  return {kind + "/" + subject, kind, subject, std::move(message), critical};
}

}  // namespace

std::string ServerSubject(std::string_view node, const ServerKey& server) {
  return std::string(kServerPrefix) + std::string(node) + "/" + server.namespace_ + "/" + server.name;
}

std::optional<bool> IsUp(const ServerStatus& server) {
  const Condition* ready = FindCondition(server.conditions, "Ready");
  if (ready == nullptr) return false;
  if (ready->status == ConditionStatus::kTrue) return true;
  static const std::set<std::string> kWanted{"Suspended", "Suspending", "Completed"};
  return kWanted.contains(ready->reason) ? std::nullopt : std::optional(false);
}

std::vector<Alert> EvaluateAlerts(const std::vector<SeenNode>& nodes,
                                  const std::map<std::string, int64_t>& not_ready_since,
                                  const std::set<std::string>& raised, int64_t now_ms) {
  std::vector<Alert> alerts;
  for (const auto& [node, here] : nodes) {
    if (!here) {
      // What its servers do is not known then: one alert says so, not one for each.
      alerts.push_back(Make("NodeOffline", node.node, "no sign of life", true));
      continue;
    }
    std::vector<Alert> of_node;
    for (const ServerStatus& server : node.servers) {
      const std::string subject = ServerSubject(node.node, server.key), name = subject.substr(kServerPrefix.size());
      const Json summary = SummaryOf(server);
      if (GetBool(summary, "looping")) {
        of_node.push_back(Make(
            "CrashLoop", name,
            "restarted " + std::to_string(server.restarts.count) + " times: " + GetString(summary, "message"), true));
        continue;
      }
      if (const std::string pins = GetString(summary, "pinsViolated"); !pins.empty())
        of_node.push_back(Make("ToolPinViolated", name, pins, true));
      const auto since = not_ready_since.find(subject);
      if (since == not_ready_since.end()) continue;
      Alert alert =
          Make("ServerNotReady", name, GetString(summary, "reason") + ": " + GetString(summary, "message"), false);
      if (now_ms - since->second >= kNotReadyMs || raised.contains(alert.key)) of_node.push_back(std::move(alert));
    }
    // So many of one node, and one that says that there are more: a node names its servers itself.
    if (of_node.size() > kAlertsOfNode) {
      of_node.resize(kAlertsOfNode);
      of_node.push_back(
          Make("ManyAlerts", node.node, "more of its servers are in trouble than alerts are raised for", true));
    }
    alerts.insert(alerts.end(), std::make_move_iterator(of_node.begin()), std::make_move_iterator(of_node.end()));
  }
  return alerts;
}

}  // namespace mcpfleet::dashboard
