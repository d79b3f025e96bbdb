// MCPNode objects, for verbs that change one thing of a node's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "crd/object.h"
#include "store/writer.h"

namespace mcpfleet::cli {

// Changes the objects of these nodes, signed where the fleet is; one that is not there is made when `create`, else left
// alone. Prints nothing.
StatusOr<ApplyResult> ChangeNodes(Session& session, const std::vector<std::string>& names, bool create,
                                  const std::string& message, const std::function<void(Object*)>& change);

}  // namespace mcpfleet::cli
