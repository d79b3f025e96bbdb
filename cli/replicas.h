// Servers with replicas need a store whose host says which nodes are down: only a Worker does.
#pragma once

#include "cli/session.h"
#include "store/down_list.h"
#include "store/writer.h"

namespace mcpfleet::cli {

// The list as it is now. FailedPrecondition: the store has none.
StatusOr<DownList> ReadDownList(Session& session, Deadline deadline);

// FailedPrecondition for changes that bring a server with replicas to a store without that list: no node would ever
// take one. Nothing is asked when there is none among them.
Status CheckReplicas(Session& session, const ChangeSet& changes, Deadline deadline);

}  // namespace mcpfleet::cli
