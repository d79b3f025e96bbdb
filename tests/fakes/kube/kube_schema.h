// What the fake API server does with a structural schema: judge a value, find its fields for server-side apply, merge
// and prune by list types. Schemas are the JSON of openAPIV3Schema.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::testing {

struct SchemaFaults {
  std::vector<std::string> unknown;  // ".spec.sourse"
  std::vector<std::string> invalid;  // ".spec.port: must be integer"
};
SchemaFaults JudgeBySchema(const Json& value, const Json& schema, const std::string& path = "");
void PruneUnknown(Json* value, const Json& schema);

// Every leaf of a value by its path as structured-merge-diff sees it: `.status.nodes[node=a].revision`. Lists of type
// map go by their keys, sets by their values, everything else is one leaf.
using Fields = std::map<std::string, Json>;
Fields FieldsOf(const Json& value, const Json& schema, const std::string& path = "");
// `applied` over `live`.
void ApplyOver(const Json& applied, const Json& schema, Json* live);
// Takes these leaves out, and list items whose keys are among them.
void RemoveFields(const std::set<std::string>& doomed, const Json& schema, Json* live, const std::string& path = "");

}  // namespace mcpfleet::testing
