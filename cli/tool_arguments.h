// The arguments of a tool call as a person types them: NAME=VALUE, read as the tool's input schema says.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::cli {

// `json` (all arguments as an object; may be "") with `pairs` on top. A value becomes what the property's type says,
// and text where there is none. InvalidArgument: a value of another type, a name that the tool does not have, a
// required one that is missing.
StatusOr<Json> ToolArguments(const Json& schema, const std::string& json, const std::vector<std::string>& pairs);

}  // namespace mcpfleet::cli
