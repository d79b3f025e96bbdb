// The servers of the whole fleet in one call to the Worker, instead of a read of every node's status.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/session.h"
#include "crd/server_status.h"

namespace mcpfleet::cli {

// Statuses by node, with as much of each server as a table shows: the condition Ready, restarts, tools, protocol,
// generation, revision. Of nodes that are down the heartbeat is that of long ago. Nodes that report no server are not
// among them. Pure, of the items of GET /v1/servers; `now` is the heartbeat of the others.
std::vector<NodeStatus> StatusesOfServers(const std::vector<Json>& items, WallTime now);

// Adds the nodes that have reported and run nothing, which the list of servers does not name.
Status AddIdleNodes(Session& session, Deadline deadline, std::vector<NodeStatus>* nodes);

// All pages. FailedPrecondition where there is no Worker.
StatusOr<std::vector<NodeStatus>> ReadServersOfWorker(Session& session, Deadline deadline);

}  // namespace mcpfleet::cli
