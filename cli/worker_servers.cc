#include "cli/worker_servers.h"

#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

constexpr int kMostPages = 100;  // of 1000 nodes

ConditionStatus StatusOf(const std::string& word) {
  if (word == "True") return ConditionStatus::kTrue;
  return word == "False" ? ConditionStatus::kFalse : ConditionStatus::kUnknown;
}

}  // namespace

std::vector<NodeStatus> StatusesOfServers(const std::vector<Json>& items, WallTime now) {
  std::map<std::string, NodeStatus> nodes;
  for (const Json& item : items) {
    const std::string name = GetString(item, "node");
    NodeStatus& node = nodes[name];
    node.node = name;
    node.heartbeat = GetBool(item, "nodeDown") ? WallTime{} : now;
    ServerStatus server{.key = {GetString(item, "namespace"), GetString(item, "name")},
                        .observed_generation = GetInt(item, "generation"),
                        .revision = GetString(item, "revision")};
    server.conditions = {{.type = "Ready",
                          .status = StatusOf(GetString(item, "ready")),
                          .observed_generation = server.observed_generation,
                          .reason = Printable(GetString(item, "reason"), 100),
                          .message = Printable(GetString(item, "message"), 1000)}};
    server.restarts.count = GetInt(item, "restarts");
    server.catalog.tools = GetInt(item, "tools");
    server.server_info.protocol_version = Printable(GetString(item, "protocol"), 40);
    node.servers.push_back(std::move(server));
  }
  std::vector<NodeStatus> statuses;
  for (auto& [name, node] : nodes) statuses.push_back(std::move(node));
  return statuses;
}

StatusOr<std::vector<NodeStatus>> ReadServersOfWorker(Session& session, Deadline deadline) {
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  std::vector<Json> items;
  std::string cursor;
  for (int page = 0; page < kMostPages; ++page) {
    const std::string target = cursor.empty() ? "/v1/servers" : "/v1/servers?cursor=" + PercentEncode(cursor);
    ASSIGN_OR_RETURN(const WorkerAnswer answer, worker->Get(target, deadline));
    if (!answer.result.is_array()) return Unavailable("the Worker's list of servers is no list");
    items.insert(items.end(), answer.result.begin(), answer.result.end());
    cursor = GetString(answer.result_info, "cursor");
    if (cursor.empty()) break;
  }
  return StatusesOfServers(items, session.clock().Wall());
}

Status AddIdleNodes(Session& session, Deadline deadline, std::vector<NodeStatus>* nodes) {
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(const WorkerAnswer answer, worker->Get("/v1/nodes", deadline));
  std::set<std::string> named;
  for (const NodeStatus& node : *nodes) named.insert(node.node);
  for (const Json& item : answer.result) {
    NodeStatus node{.node = GetString(item, "node"), .heartbeat = session.clock().Wall()};
    if (GetBool(item, "down")) node.heartbeat = WallTime{};
    // One that was enrolled and never came has nothing placed on it that anybody waits for.
    if (GetInt(item, "lastSeen") > 0 && named.insert(node.node).second) nodes->push_back(std::move(node));
  }
  return OkStatus();
}

}  // namespace mcpfleet::cli
