// The fleet as mcpctl shows it: what is desired (the store) beside what the nodes report (their statuses), merged.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/resource.h"
#include "cli/session.h"
#include "controller/placement/place.h"
#include "crd/server_status.h"
#include "store/reader.h"

namespace mcpfleet::cli {

// A heartbeat older than this says nothing about now: nodes write at least every 15 min.
inline constexpr Duration kStaleHeartbeat = std::chrono::minutes(35);

struct Fleet {
  StoredState desired;
  std::vector<NodeStatus> nodes;  // by name; the node behind the admin address is live, not as of its last write
  bool no_worker = false;         // the store said that it has none: it is not asked again
  PlacementNodes declared;        // the MCPNode objects of `desired`
  DownNodes down;                 // as the store's host says; read when a server has replicas
  std::string down_problem;       // why it could not be read, said once
};

// kServers: no more of the statuses than the table of servers shows, in one call where the store is a Worker.
enum class StatusDetail { kFull, kServers };

// One server with the nodes that report it, and those that it is placed on but that have not reported it yet (with
// an empty status). One with replicas may be reported by more nodes than it is placed on now.
struct ServerView {
  const Object* object = nullptr;
  std::optional<int64_t> replicas;
  struct OnNode {
    const NodeStatus* node = nullptr;
    const ServerStatus* status = nullptr;
    bool stale = false;
    bool reported = true;  // false: placed there, not in the node's status yet
    // Of a server with replicas: false where it is not placed now, and in any case why it is there, for people.
    bool counts = true;
    std::string why;
  };
  std::vector<OnNode> nodes;
  std::vector<std::shared_ptr<const NodeStatus>> unseen;  // of `nodes`, those that never reported: a name and no more
};

StatusOr<Fleet> ReadFleet(Session& session, Deadline deadline);
// Reads again what may have changed: the statuses, and the desired state only when the head moved. For verbs that
// watch.
Status RefreshFleet(Session& session, Deadline deadline, Fleet* fleet, StatusDetail detail = StatusDetail::kFull);
// Statuses only.
StatusOr<std::vector<NodeStatus>> ReadNodes(Session& session, Deadline deadline);
ServerView ViewOf(const Fleet& fleet, const Object& object, WallTime now);
// The servers (or nodes) that a selection means, in order of namespace and name. NotFound names the missing ones.
StatusOr<std::vector<const Object*>> Find(const Fleet& fleet, const Selection& selection);

// The nodes that a selection means, by name: those that report and those that are declared. A selector sees the labels
// of the declared ones.
StatusOr<std::vector<std::string>> FindNodes(const Fleet& fleet, const Selection& selection);

// As kubectl finds them: --for=condition=ready is condition Ready.
const Condition* FindConditionAnyCase(const std::vector<Condition>& conditions, std::string_view type);

// Pure, from a view:
int ReadyNodes(const ServerView& view);
// How many should be: the replicas, else the nodes.
int64_t WantedNodes(const ServerView& view);
PlacementNodes DeclaredNodes(const StoredState& desired);
// The condition over all nodes that count: False wins over Unknown, Unknown over True; Unknown when no node reports
// this generation. Ready is False, TooFewNodes, while fewer nodes than replicas can take the server.
Condition Merged(const ServerView& view, std::string_view type);
// Why `condition` does not hold, in a line; with replicas it begins with how many are Ready.
std::string Unmet(const ServerView& view, const Condition& condition);
// What the STATUS column says: "Ready", or the first failing reason.
std::string StatusWord(const ServerView& view);
// The object as `-o json` shows it: spec as applied, status merged (conditions, nodes[]).
Json Rendered(const ServerView& view);
Json RenderedNode(const Fleet& fleet, const std::string& name, WallTime now);
// Names of all nodes: those that report and those that are declared.
std::vector<std::string> NodeNames(const Fleet& fleet);

}  // namespace mcpfleet::cli
