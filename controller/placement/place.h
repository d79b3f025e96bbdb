// Which node runs what: a pure function of the entry and the node. Like a DaemonSet, an entry runs on every node that
// it matches: named in `nodes`, or carrying all labels of `nodeSelector`; with both, both must hold; with neither,
// every node.
#pragma once

#include <string_view>

#include "base/json.h"
#include "crd/object.h"

namespace mcpfleet {

// `placement` is spec.placement as JSON (null: every node). False on an unschedulable node: it takes nothing new (what
// it runs already it keeps; the caller knows). A placement of a form that this version does not know matches no node.
bool Place(const Json& placement, std::string_view node, const Labels& node_labels, bool unschedulable);

}  // namespace mcpfleet
