// What tables show of objects, nodes and servers, in the Worker's own words (its OpenAPI description: ObjectRow,
// FeedNode, ServerSummary), so that one page reads both. Pure.
#pragma once

#include <optional>
#include <vector>

#include "base/json.h"
#include "crd/object.h"
#include "crd/server_status.h"
#include "store/snapshot.h"

namespace mcpfleet::dashboard {

// A row of an object; `object` is null where it can't be read (yet).
Json RowOf(const ShardEntry& entry, const Object* object);
// A server as a node reports it, in short.
Json SummaryOf(const ServerStatus& server);
// A node without its servers. `connected`: it shows signs of life.
Json NodeOf(const NodeStatus& status, bool connected);

}  // namespace mcpfleet::dashboard
